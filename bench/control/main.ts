// What a scrape of /metrics costs a router with many tunnels, in a namespace of its own. As root.
//
//   node dist/bench/control/main.js [--tunnels 1000] [--scrapes 200]
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { parseArgs } from 'node:util';
import { Namespaces } from '../../src/demo/namespaces.js';
import { startRouter } from '../../src/demo/router-process.js';

const { values } = parseArgs({
  options: {
    tunnels: { type: 'string', default: '1000' },
    scrapes: { type: 'string', default: '200' },
  },
});
const tunnels = Number(values.tunnels);
const scrapes = Number(values.scrapes);

const namespaces = new Namespaces('scrape');
try {
  const namespace = namespaces.add('r', { ipv6: false });
  namespaces.run(namespace, 'ip', ['address', 'add', '192.0.2.1/24', 'dev', 'lo']);
  const tables = Array.from({ length: tunnels }, (_, n) => {
    const ends = 'local = "192.0.2.1"\nremote = "192.0.2.2"';
    return `[tunnel.t${n}]\nmode = "gre"\n${ends}\nkey = ${n}\nallow = ["any"]\nmtu = 1400\n`;
  });
  const { child, socket, readyMs } = await startRouter(namespaces, namespace, tables.join(''));
  console.log(`${tunnels} tunnels, ready after ${readyMs} ms`);
  const memory = (): number => {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
  };
  const before = memory();
  for (const accept of ['text/plain', 'application/openmetrics-text']) {
    const times: number[] = [];
    let size = 0;
    for (let n = 0; n < scrapes; n++) {
      const start = performance.now();
      size = await scrape(socket, accept);
      times.push(performance.now() - start);
    }
    const [first = 0] = times;
    times.sort((a, b) => a - b);
    const at = (part: number): string => (times[Math.floor(part * (scrapes - 1))] ?? 0).toFixed(1);
    console.log(
      `${accept}: ${size} bytes; median ${at(0.5)} ms, 99 % ${at(0.99)} ms, first ${first.toFixed(1)} ms`,
    );
  }
  console.log(`memory before ${before.toFixed(0)} MB, after ${memory().toFixed(0)} MB`);
} finally {
  await namespaces.close();
}

/** Asks once. Returns the bytes of the page. */
function scrape(socketPath: string, accept: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { socketPath, path: '/metrics', headers: { Accept: accept }, agent: false };
    const call = request(options, (response) => {
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
      });
      response.once('error', reject);
      response.once('end', () => resolve(size));
    });
    call.once('error', reject);
    call.end();
  });
}
