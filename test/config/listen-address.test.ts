import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatListenAddress, parseListenAddress } from '../../src/config/listen-address.js';
import { parseConfig } from '../../src/config/load.js';

test('an address and port are read, and written as they were', () => {
  for (const [text, host, port] of [
    ['127.0.0.1:9476', '127.0.0.1', 9476],
    ['[::1]:1', '::1', 1],
    ['localhost:65535', 'localhost', 65535],
    ['0.0.0.0:9476', '0.0.0.0', 9476],
  ] as const) {
    assert.deepEqual(parseListenAddress(text), { host, port });
    assert.equal(formatListenAddress({ host, port }), text);
  }
  assert.deepEqual(parseListenAddress('Router.Example:80'), { host: 'router.example', port: 80 });
});

test('what is no address and port is an error at its place, with an example', () => {
  for (const text of [
    ...['9476', ':9476', '127.0.0.1', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:65536'],
    ...['127.1:9476', '::1:9476', '[::1', '[::1]', '[127.0.0.1]:9476', 'a b:1', '127.0.0.1:9476/x'],
    ...['http://127.0.0.1:9476', '[fe80::1%eth0]:x', '300.0.0.1:9476', '127.0.0.1:123456'],
  ]) {
    assert.equal(parseListenAddress(text), null, text);
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

test('the API may listen beside the metrics, not in their place', () => {
  const judge = (lines: string) =>
    parseConfig(Buffer.from(`[router]\n${lines}\n`), 'grebe.toml').diagnostics.map(
      ({ code, line, column }) => `${code} ${line}:${column}`,
    );
  const metrics = 'metrics = "127.0.0.1:9476"';
  assert.deepEqual(judge(`${metrics}\napi = "127.0.0.1:9477"`), ['W205 1:1']);
  assert.deepEqual(judge(`${metrics}\napi = "127.0.0.1:9476"`), ['E119 3:7']);
});

test('an API that other machines reach is taken, with a warning', () => {
  for (const address of ['192.0.2.1:1', '0.0.0.0:9477', '[::]:9477', 'router.example:9477']) {
    const text = Buffer.from(`[router]\napi = "${address}"\n`);
    const { config, diagnostics } = parseConfig(text, 'grebe.toml');
    assert.ok(config?.router.api);
    assert.ok(
      diagnostics.some(({ code, line }) => code === 'W212' && line === 2),
      address,
    );
  }
  for (const address of ['127.0.0.1:1', '127.9.9.9:9477', '[::1]:9477', 'localhost:9477']) {
    const { diagnostics } = parseConfig(Buffer.from(`[router]\napi = "${address}"\n`), 'g.toml');
    assert.deepEqual(
      diagnostics.map(({ code }) => code),
      ['W205'],
      address,
    );
  }
});
