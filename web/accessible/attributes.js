// Tag and attributes of one element in the mirror.

/**
 * A widget in ARIA terms, as `src/app/accessible` sends it.
 * @typedef {object} Told
 * @property {string} id
 * @property {string} role an ARIA role; `text` for plain text
 * @property {string} name
 * @property {[number, number, number, number]} bounds left, top, width and height in CSS pixels
 * @property {string[]} [actions] that it supports
 * @property {string[]} [children] ids in reading order
 * @property {string} [description]
 * @property {string} [value]
 * @property {string} [placeholder]
 * @property {number} [valuenow]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {'true' | 'false' | 'mixed'} [checked]
 * @property {'true' | 'false'} [pressed]
 * @property {'true' | 'false'} [selected]
 * @property {boolean} [expanded]
 * @property {'polite' | 'assertive'} [live]
 * @property {boolean} [disabled]
 * @property {boolean} [readonly]
 * @property {boolean} [multiline]
 */

/** @typedef {HTMLInputElement | HTMLTextAreaElement} Field */

/**
 * Input types by role. Widgets with other roles are a `div`.
 * @type {Record<string, string>}
 */
const FIELDS = { slider: 'range', spinbutton: 'number', textbox: 'text', searchbox: 'search' };

/** Roles whose name is their text; the others are named by an attribute. */
const SPOKEN = new Set(['text', 'heading', 'status', 'alert', 'log', 'tooltip']);

/** @type {[string, keyof Told][]} */
const STATES = [
  ['aria-checked', 'checked'],
  ['aria-pressed', 'pressed'],
  ['aria-selected', 'selected'],
  ['aria-expanded', 'expanded'],
  ['aria-live', 'live'],
  ['aria-disabled', 'disabled'],
  ['aria-description', 'description'],
];

/** @type {[string, keyof Told][]} */
const RANGE = [
  ['aria-valuenow', 'valuenow'],
  ['aria-valuemin', 'min'],
  ['aria-valuemax', 'max'],
  ['aria-valuetext', 'value'],
];

/** @type {[string, keyof Told][]} */
const NUMBER = [
  ['min', 'min'],
  ['max', 'max'],
  ['aria-valuetext', 'value'],
];

/**
 * @param {Element} element
 * @returns {element is Field} whether the user can enter a value
 */
export function isField(element) {
  return element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement;
}

/**
 * @param {Told} told
 * @returns {boolean} whether its value is a number
 */
export function isNumeric(told) {
  return told.valuenow !== undefined;
}

/**
 * @param {Told} a
 * @param {Told} b
 * @returns {boolean} whether the same element can show both
 */
export function sameKind(a, b) {
  return a.role === b.role && a.multiline === b.multiline;
}

/**
 * @param {Told} told
 * @returns {HTMLElement} not placed yet, and without attributes
 */
export function create({ role, multiline }) {
  const field = FIELDS[role];
  const element = document.createElement(multiline ? 'textarea' : field ? 'input' : 'div');
  if (element instanceof HTMLInputElement) element.type = field;
  else if (!multiline && role !== 'text') element.setAttribute('role', role);
  Object.assign(element.style, { position: 'absolute', boxSizing: 'border-box', overflow: 'hidden' });
  Object.assign(element.style, { margin: '0', padding: '0', border: '0' });
  return element;
}

/**
 * Updates what differs from `before`.
 * @param {HTMLElement} element
 * @param {Told} told
 * @param {Told} [before]
 */
export function describe(element, told, before) {
  if (SPOKEN.has(told.role)) speak(element, told.name);
  else attribute(element, 'aria-label', told.name || undefined);
  attribute(element, 'tabindex', told.actions && -1);
  setAll(element, STATES, told);
  if (isField(element)) describeField(element, told, before);
  else if (told.role === 'combobox') speak(element, told.value ?? '');
  else if (isNumeric(told)) setAll(element, RANGE, told);
}

/**
 * A field that the user is editing keeps the input unless its value changes in the studio.
 * @param {Field} field
 * @param {Told} told
 * @param {Told} [before]
 */
function describeField(field, told, before) {
  attribute(field, 'placeholder', told.placeholder);
  field.readOnly = told.readonly ?? false;
  field.disabled = told.disabled ?? false;
  if (isNumeric(told)) {
    setAll(field, NUMBER, told);
    attribute(field, 'step', 'any');
  }
  if (!before || value(before) !== value(told)) fill(field, told);
}

/**
 * Writes the value into the field. If it is there already, the caret does not move.
 * @param {Field} field
 * @param {Told} told
 */
export function fill(field, told) {
  if (field.value !== value(told)) field.value = value(told);
}

/** @param {Told} told */
function value(told) {
  return String((isNumeric(told) ? told.valuenow : told.value) ?? '');
}

/**
 * Sets the element's own text, which precedes its children.
 * @param {HTMLElement} element
 * @param {string} text
 */
function speak(element, text) {
  const first = element.firstChild;
  if (!(first instanceof Text)) element.prepend(text);
  else if (first.data !== text) first.data = text;
}

/**
 * @param {HTMLElement} element
 * @param {[string, keyof Told][]} attributes
 * @param {Told} told
 */
function setAll(element, attributes, told) {
  for (const [name, key] of attributes) attribute(element, name, told[key]);
}

/**
 * Sets or removes the attribute if it differs.
 * @param {HTMLElement} element
 * @param {string} name
 * @param {unknown} value
 */
function attribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}
