import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { formatMetricsAddress, parseMetricsAddress } from '../../src/config/metrics-address.js';

test('an address and port are read, and written as they were', () => {
  for (const [text, host, port] of [
    ['127.0.0.1:9476', '127.0.0.1', 9476],
    ['[::1]:1', '::1', 1],
    ['localhost:65535', 'localhost', 65535],
    ['0.0.0.0:9476', '0.0.0.0', 9476],
  ] as const) {
    assert.deepEqual(parseMetricsAddress(text), { host, port });
    assert.equal(formatMetricsAddress({ host, port }), text);
  }
  assert.deepEqual(parseMetricsAddress('Router.Example:80'), { host: 'router.example', port: 80 });
});

test('what is no address and port is an error at its place, with an example', () => {
  for (const text of [
    ...['9476', ':9476', '127.0.0.1', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:65536'],
    ...['127.1:9476', '::1:9476', '[::1', '[::1]', '[127.0.0.1]:9476', 'a b:1', '127.0.0.1:9476/x'],
    ...['http://127.0.0.1:9476', '[fe80::1%eth0]:x', '300.0.0.1:9476', '127.0.0.1:123456'],
  ]) {
    assert.equal(parseMetricsAddress(text), null, text);
    const config = Buffer.from(`[router]\nmetrics = ${JSON.stringify(text)}\n`);
    const [first] = parseConfig(config, 'grebe.toml').diagnostics;
    assert.equal(`${first?.line}:${first?.column}`, '2:11', text);
    assert.match(
      first?.message ?? '',
      /metrics must be an address and port such as "127\.0\.0\.1:9476"/,
    );
  }
});

test('a listener in the config has an effect and no warning', () => {
  const config = Buffer.from('[router]\nmetrics = "127.0.0.1:9476"\n');
  const { config: parsed, diagnostics } = parseConfig(config, 'grebe.toml');
  assert.deepEqual(parsed?.router.metrics, { host: '127.0.0.1', port: 9476 });
  assert.ok(diagnostics.every(({ code }) => code !== 'W201'));
});
