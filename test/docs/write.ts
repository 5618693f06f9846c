// Writes the generated pages: `npm run docs`.
import { writeFileSync } from 'node:fs';
import { pages } from './pages.js';

for (const { path, text } of pages()) writeFileSync(path, text);
