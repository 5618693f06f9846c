// The pages of docs/ that are made from what the tests run.
import { fileURLToPath } from 'node:url';
import { apiPage } from './api-page.js';
import { performancePage } from './performance-page.js';
import { rfcPage } from './rfc-page.js';
import { strictnessPage } from './strictness-page.js';
import { troubleshootingPage } from './troubleshooting-page.js';

const DOCS = new URL('../../../docs/', import.meta.url);

/** Path and text of each. */
export function pages(): { readonly path: string; readonly text: string }[] {
  return [
    { path: pathOf('performance.md'), text: performancePage() },
    { path: pathOf('api.md'), text: apiPage() },
    { path: pathOf('rfc.md'), text: rfcPage() },
    { path: pathOf('strictness.md'), text: strictnessPage() },
    { path: pathOf('troubleshooting.md'), text: troubleshootingPage() },
  ];
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, DOCS));
}
