// Mirrors a canvas for assistive technology, as invisible elements exactly over its widgets, in reading order.
//
// Mouse events pass through them to the canvas, which also keeps keyboard focus. What a screen reader does to them is
// passed back as an action. `src/app/accessible` sends the changes and performs the actions.

import { create, describe, fill, isField, isNumeric, sameKind } from './accessible/attributes.js';

/** @typedef {import('./accessible/attributes.js').Told} Told */
/** @typedef {import('./accessible/attributes.js').Field} Field */
/** @typedef {{ element: HTMLElement, told: Told, parent: string | null }} Shown */

/** Keys that leave a field; the canvas handles them. */
const LEAVING = new Set(['Escape', 'Enter', 'Tab']);

/** How many mirrors the page has: element ids must be unique in the page. */
let mirrors = 0;

export class Mirror {
  /** @type {Map<string, Shown>} by the widget's id */
  #shown = new Map();
  #prefix = `accessible-${mirrors++}-`;
  #root;
  #canvas;
  #act;

  /**
   * @param {HTMLElement} root a `div` exactly over the canvas, with `position` absolute, relative or fixed
   * @param {(json: string) => void} act called with each action: `{ id, kind, value }`
   * @param {HTMLCanvasElement | null} [canvas] keeps keyboard focus
   */
  constructor(root, act, canvas = null) {
    this.#root = root;
    this.#act = act;
    this.#canvas = canvas;
    Object.assign(root.style, { opacity: '0', pointerEvents: 'none', overflow: 'hidden' });
    if (canvas) {
      root.id ||= `${this.#prefix}root`;
      canvas.setAttribute('role', 'application');
      canvas.setAttribute('aria-owns', root.id);
    }
    this.#listen();
  }

  /**
   * Applies an update: `{ upsert, remove, top, focus }`.
   * @param {string} json
   */
  update(json) {
    /** @type {{ upsert: Told[], remove: string[], top?: string[], focus: string | null }} */
    const { upsert, remove, top, focus } = JSON.parse(json);
    for (const id of remove) this.#remove(id);
    for (const told of upsert) this.#tell(told);
    for (const { id, children = [] } of upsert) this.#adopt(id, children);
    if (top) this.#adopt(null, top);
    const families = upsert.flatMap(({ id, children = [] }) => [id, ...children]);
    for (const id of new Set([...families, ...(top ?? [])])) this.#place(this.#get(id));
    this.#focus(focus);
  }

  /** Removes everything; the next update starts from nothing. */
  clear() {
    for (const id of [...this.#shown.keys()]) this.#remove(id);
  }

  /**
   * @param {string} id
   * @returns {Shown}
   */
  #get(id) {
    const shown = this.#shown.get(id);
    if (!shown) throw new Error(`expected the id of a known element, found ${id}: updates must come in order`);
    return shown;
  }

  /** @param {string} id */
  #remove(id) {
    this.#get(id).element.remove();
    this.#shown.delete(id);
  }

  /**
   * Creates the element if it is new or has changed its kind, and sets its attributes.
   * @param {Told} told
   */
  #tell(told) {
    const before = this.#shown.get(told.id);
    const kept = before && sameKind(before.told, told) ? before : undefined;
    const element = kept?.element ?? create(told);
    if (!kept) {
      element.id = this.#prefix + told.id;
      element.append(...(before?.element.children ?? []));
      before?.element.replaceWith(element);
    }
    describe(element, told, kept?.told);
    this.#shown.set(told.id, { element, told, parent: before?.parent ?? null });
  }

  /**
   * Puts the children into their parent in this order, without moving those already in place.
   * @param {string | null} parent
   * @param {string[]} children
   */
  #adopt(parent, children) {
    const element = parent === null ? this.#root : this.#get(parent).element;
    let next = element.firstElementChild;
    for (const id of children) {
      const child = this.#get(id);
      child.parent = parent;
      if (child.element === next) next = next.nextElementSibling;
      else element.insertBefore(child.element, next);
    }
  }

  /**
   * Places the element over its widget; its style is relative to its parent.
   * @param {Shown} shown
   */
  #place({ element, told, parent }) {
    const [left, top] = parent === null ? [0, 0] : this.#get(parent).told.bounds;
    const [x, y, width, height] = told.bounds;
    const box = { left: `${x - left}px`, top: `${y - top}px`, width: `${width}px`, height: `${height}px` };
    Object.assign(element.style, box);
  }

  /**
   * Marks the focused element on the canvas, which has keyboard focus itself.
   * @param {string | null} id
   */
  #focus(id) {
    if (id === null) this.#canvas?.removeAttribute('aria-activedescendant');
    else this.#canvas?.setAttribute('aria-activedescendant', this.#prefix + id);
  }

  /** Listens on the root: with a listener on each element, screen readers would announce every text as clickable. */
  #listen() {
    /** @type {[string, (shown: Shown, event: Event) => void][]} */
    const listeners = [
      ['click', (shown) => this.#ask(shown, 'click')],
      ['focusin', (shown) => this.#focused(shown)],
      ['input', (shown) => this.#written(shown)],
      ['change', (shown) => this.#finished(shown)],
      ['keydown', (shown, event) => this.#pressed(shown, /** @type {KeyboardEvent} */ (event))],
    ];
    for (const [type, listener] of listeners) {
      this.#root.addEventListener(type, (event) => {
        const id = /** @type {HTMLElement} */ (event.target).id.slice(this.#prefix.length);
        const shown = this.#shown.get(id);
        if (shown) listener(shown, event);
      });
    }
  }

  /**
   * Requests an action if the widget supports it. All widgets support `show`.
   * @param {Shown} shown
   * @param {string} kind
   * @param {string | number} [value]
   */
  #ask({ told }, kind, value) {
    if (kind === 'show' || told.actions?.includes(kind)) this.#act(JSON.stringify({ id: told.id, kind, value }));
  }

  /**
   * Passes focus on to the widget. A field keeps keyboard focus, so that a screen reader echoes the input.
   * @param {Shown} shown
   */
  #focused(shown) {
    this.#ask(shown, 'show');
    this.#ask(shown, 'focus');
    if (!isField(shown.element)) this.#canvas?.focus({ preventScroll: true });
  }

  /**
   * Sends input at once, except from number fields, whose value is incomplete while being typed.
   * @param {Shown} shown
   */
  #written(shown) {
    const { element, told } = shown;
    if (isField(element) && told.role !== 'spinbutton') this.#set(shown, element);
  }

  /**
   * Sends a number field's value, and shows the current value until the studio accepts the new one.
   * @param {Shown} shown
   */
  #finished(shown) {
    const { element, told } = shown;
    if (!isField(element)) return;
    if (told.role === 'spinbutton' && element.value !== '') this.#set(shown, element);
    fill(element, told);
  }

  /**
   * @param {Shown} shown
   * @param {Field} field
   */
  #set(shown, field) {
    this.#ask(shown, 'set_value', isNumeric(shown.told) ? Number(field.value) : field.value);
  }

  /**
   * Returns keyboard focus to the canvas, and passes the key on.
   * @param {Shown} shown
   * @param {KeyboardEvent} event
   */
  #pressed({ element }, event) {
    const newline = event.key === 'Enter' && element instanceof HTMLTextAreaElement;
    if (!this.#canvas || newline || event.isComposing || !LEAVING.has(event.key)) return;
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true });
    for (const type of ['keydown', 'keyup']) this.#canvas.dispatchEvent(new KeyboardEvent(type, event));
  }
}
