import { byId } from './element.js';

const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'grebe-theme';

/** Lets the button change between light, dark and what the system prefers; `onChange` draws what style sheets cannot. */
export function followTheme(onChange: () => void): void {
  const button = byId('theme', HTMLButtonElement);
  const show = (theme: Theme): void => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    onChange();
  };
  let current = THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'auto';
  show(current);
  button.addEventListener('click', () => {
    current = THEMES[(THEMES.indexOf(current) + 1) % THEMES.length] ?? 'auto';
    localStorage.setItem(KEY, current);
    show(current);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange);
}
