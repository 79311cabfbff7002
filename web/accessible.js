// What a canvas shows, as elements for assistive technology: invisible, exactly over the widgets, in reading order.
//
// The mouse goes through them to the canvas, and the keyboard stays with it. What a screen reader does to them is
// handed back as an action. `src/app/accessible` tells of changes and takes the actions.

import { create, describe, fill, isField, isNumeric, sameKind } from './accessible/attributes.js';

/** @typedef {import('./accessible/attributes.js').Told} Told */
/** @typedef {import('./accessible/attributes.js').Field} Field */
/** @typedef {{ element: HTMLElement, told: Told, parent: string | null }} Shown */

/** Keys with which a person leaves a field: what they do is up to the canvas. */
const LEAVING = new Set(['Escape', 'Enter', 'Tab']);

/** How many mirrors the page has: ids of elements are the page's. */
let mirrors = 0;

export class Mirror {
  /** @type {Map<string, Shown>} by the widget's id */
  #shown = new Map();
  #prefix = `accessible-${mirrors++}-`;
  #root;
  #canvas;
  #act;

  /**
   * @param {HTMLElement} root a `div` that lies exactly over the canvas, with its position absolute, relative or fixed
   * @param {(json: string) => void} act gets each action: `{ id, kind, value }`
   * @param {HTMLCanvasElement | null} [canvas] keeps the keyboard
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
   * Does what `json` says: `{ upsert, remove, top, focus }`.
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

  /** Forgets everything: the next update tells it from the beginning. */
  clear() {
    for (const id of [...this.#shown.keys()]) this.#remove(id);
  }

  /**
   * @param {string} id
   * @returns {Shown}
   */
  #get(id) {
    const shown = this.#shown.get(id);
    if (!shown) throw new Error(`expected an element that was told of, found ${id}: updates must come in their order`);
    return shown;
  }

  /** @param {string} id */
  #remove(id) {
    this.#get(id).element.remove();
    this.#shown.delete(id);
  }

  /**
   * Makes the element, if it is new or of another kind than before, and describes it.
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
   * Puts the children into their parent in this order; those that are there already are not moved.
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
   * Lays it where its widget is; its style counts from the element that it is in.
   * @param {Shown} shown
   */
  #place({ element, told, parent }) {
    const [left, top] = parent === null ? [0, 0] : this.#get(parent).told.bounds;
    const [x, y, width, height] = told.bounds;
    const box = { left: `${x - left}px`, top: `${y - top}px`, width: `${width}px`, height: `${height}px` };
    Object.assign(element.style, box);
  }

  /**
   * The canvas has the keyboard, and says for which element.
   * @param {string | null} id
   */
  #focus(id) {
    if (id === null) this.#canvas?.removeAttribute('aria-activedescendant');
    else this.#canvas?.setAttribute('aria-activedescendant', this.#prefix + id);
  }

  /** Listens at the root: a listener of its own would make a screen reader call every text clickable. */
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
   * Asks for an action, if the widget takes it; everything can be shown.
   * @param {Shown} shown
   * @param {string} kind
   * @param {string | number} [value]
   */
  #ask({ told }, kind, value) {
    if (kind === 'show' || told.actions?.includes(kind)) this.#act(JSON.stringify({ id: told.id, kind, value }));
  }

  /**
   * Focus goes on to the widget. A field keeps the keyboard, so that a screen reader echoes what is written.
   * @param {Shown} shown
   */
  #focused(shown) {
    this.#ask(shown, 'show');
    this.#ask(shown, 'focus');
    if (!isField(shown.element)) this.#canvas?.focus({ preventScroll: true });
  }

  /**
   * A number that is being written is not whole: only sliders give theirs at once.
   * @param {Shown} shown
   */
  #written(shown) {
    const { element, told } = shown;
    if (isField(element) && told.role !== 'spinbutton') this.#set(shown, element);
  }

  /**
   * The field then shows what it is told, be that what was written or not.
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
   * Gives the keyboard back to the canvas, and the key with it.
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
