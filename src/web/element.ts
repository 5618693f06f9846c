// Elements of the page, made and found. Text goes in as text: nothing that the router tells is ever markup.

type Attributes = Readonly<Record<string, string | undefined>>;

/** Makes an element. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** The element of index.html with this id. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new TypeError(`index.html has no ${type.name} with the id ${id}`);
}

/** Sets the text of an element where it is another: what does not change is not read out again. */
export function setText(target: Node, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
