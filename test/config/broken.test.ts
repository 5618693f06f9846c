// Broken configs, one kind of mistake a file, and everything that must be said of each.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig, loadConfigOrFail } from '../../src/config/load.js';
import { EXIT, Failure } from '../../src/sys/failure.js';

const FOLDER = fileURLToPath(new URL('../../../test/config/broken/', import.meta.url));

/** By file: line, column and code of each diagnostic, in the order they are shown. */
const EXPECTED: { readonly [file: string]: readonly string[] } = {
  'address-on-two-devices': ['10:12 E117'],
  'address-without-quotes': ['1:9 W208', '3:14 E101'],
  'addresses-nobody-can-have': [
    '5:12 E108',
    '5:27 E108',
    '5:42 E108',
    '5:55 E108',
    '5:66 E108',
    '5:80 E108',
  ],
  'any-beside-prefixes': ['6:24 E119'],
  'colon-instead-of-equals': ['2:5 E101'],
  'device-names': [
    '1:9 E111',
    '5:9 E111',
    '9:9 E111',
    '13:9 E111',
    '17:9 E111',
    '21:9 E111',
    '25:9 E111',
    '29:7 E111',
    '34:7 E119',
  ],
  'empty-values': ['2:8 E105', '3:9 E103', '4:10 E103', '5:7 E103'],
  'encaplimit-over-ipv4': ['6:14 E107', '7:13 E107'],
  'endpoints-no-packet-can-have': ['3:9 E114', '4:10 E114', '8:9 E114', '9:10 E114'],
  'endpoints-of-another-family': ['3:9 E121', '4:10 E121', '8:10 E121', '12:10 E124'],
  'fixed-ttl-without-pmtudisc': ['7:12 E122'],
  recorder: ['2:21 E107', '2:33 E105', '2:48 E107', '2:52 E102'],
  'gre-options-on-ipip-and-sit': ['5:1 E115', '6:1 E115', '11:1 E115'],
  'gretap-without-remote': ['1:9 E104'],
  'host-bits-in-routes': ['6:11 E110', '6:27 E110', '7:10 E110'],
  'keepalive-of-ipip': ['6:26 E107'],
  'key-forms': ['5:7 E107', '10:7 E107', '15:7 E107', '20:14 E107', '20:18 E102', '25:7 E107'],
  'key-out-of-range': ['6:7 E107', '8:9 W208', '12:7 E107'],
  'key-quoted-number': ['6:7 E107', '7:7 E107'],
  'keyless-and-key-zero-wildcards': ['3:10 W202', '5:9 E118', '8:10 W202'],
  'leading-zeros': ['3:9 E108', '4:10 E108', '5:12 E109'],
  'malformed-endpoints': ['3:9 E108', '4:10 E108', '8:9 E108', '9:10 E108'],
  'malformed-prefixes': [
    '5:12 E109',
    '5:27 E109',
    '5:43 E109',
    '6:11 E109',
    '6:22 E109',
    '6:40 E103',
    '7:10 E109',
  ],
  'metrics-and-lanes': ['2:11 E103', '3:9 E107', '4:9 E105'],
  'missing-mode-and-remote': ['1:9 E104', '1:9 E104'],
  'mode-missing-quotes': ['2:8 E101'],
  'modes-over-another-family': ['3:10 E121', '7:10 E121', '11:10 E121', '15:10 E121', '19:10 E121'],
  'mss-and-mtu-words': ['6:7 E107', '7:7 E107'],
  'mtu-too-large-with-headers': ['6:7 E107'],
  'mtu-too-small': ['6:7 E107'],
  'multicast-without-local': ['3:10 E124', '3:10 W210'],
  'not-a-table': ['1:1 E103', '3:1 E103'],
  'offload-and-busypoll': ['2:11 E119', '2:33 E103', '2:40 E102', '3:12 E107'],
  'peers-and-keepalive': [
    '6:26 E107',
    '6:40 E107',
    '6:43 E102',
    '7:10 E104',
    '7:38 E103',
    '8:7 E107',
    '9:11 E105',
  ],
  'peers-and-remote': ['6:1 E129'],
  'peers-that-overlap': ['1:9 E104', '7:39 E131', '8:14 W209'],
  'prefix-length-too-long': ['5:12 E109', '5:27 E109', '6:11 E109'],
  'probe-without-target': ['6:1 E104', '13:39 E107'],
  'proto-keys': ['2:1 E102', '3:1 E102', '8:1 E102'],
  'remote-with-port': ['4:10 E108'],
  'remote-with-prefix': ['3:9 E108', '4:10 E108'],
  'router-twice': ['10:2 E101'],
  'same-endpoints': ['4:10 E113'],
  'same-packets': ['8:9 E112', '20:9 E112'],
  'socket-path-too-long': ['2:10 E107'],
  'syntax-many': ['2:9 E101', '3:12 E101', '6:12 E101', '8:10 E101', '9:11 E110', '10:4 E101'],
  'syntax-one-line': ['2:8 E101'],
  'syntax-twice-defined': ['7:1 E101', '9:9 E101', '17:7 E103'],
  'syntax-unclosed-list': ['7:1 E101', '8:1 E101'],
  'table-without-dot': ['1:9 E101'],
  'time-without-unit': ['7:23 E107', '7:36 E107', '8:26 E107'],
  'tos-too-large': ['6:7 E107'],
  'tos-with-ecn-bits': ['6:7 E107'],
  'ttl-out-of-range': ['14:7 E107'],
  'ttl-zero': ['6:7 E107'],
  'tunnels-as-array': ['1:3 E103'],
  'unknown-key': ['6:1 E102'],
  'unknown-router-key': ['2:1 E102', '3:9 E102'],
  'unknown-table': ['1:2 E102'],
  'unknown-word': ['2:9 E105', '3:12 E105', '4:17 E105', '4:34 E105', '6:8 E105'],
  'words-of-ip-tunnel': [
    '1:9 E104',
    '1:9 W208',
    '2:1 E102',
    '5:1 E102',
    '6:1 E102',
    '7:1 E102',
    '8:1 E102',
    '9:1 E102',
    '10:1 E102',
  ],
  'words-of-wireguard': [
    '1:9 E104',
    '1:9 W208',
    '3:1 E102',
    '5:1 E102',
    '6:1 E102',
    '7:1 E102',
    '8:1 E102',
  ],
  'value-missing': ['3:9 E101', '5:6 E101', '11:6 E101'],
  'wrong-family': ['4:27 E116', '9:11 E116', '10:10 E116'],
  'wrong-type': ['2:7 E103', '3:10 E103', '9:8 E103', '10:12 E103', '11:10 E103', '12:14 E103'],
};

for (const [name, expected] of Object.entries(EXPECTED)) {
  test(`${name}.toml is told all that is wrong with it, each at its place`, () => {
    const { config, diagnostics } = loadConfig(`${FOLDER}${name}.toml`);
    const found = diagnostics.map(({ line, column, code }) => `${line}:${column} ${code}`);
    assert.deepEqual(found, expected);
    assert.equal(
      config === undefined,
      expected.some((text) => text.includes('E')),
    );
  });
}

test('every broken config has its expectations', () => {
  const files = readdirSync(FOLDER).map((name) => name.replace(/\.toml$/, ''));
  assert.deepEqual(files.sort(), Object.keys(EXPECTED).sort());
});

test('of all that is said nine in ten say what to write instead', () => {
  const said = Object.keys(EXPECTED).flatMap(
    (name) => loadConfig(`${FOLDER}${name}.toml`).diagnostics,
  );
  const hinted = said.filter(
    ({ hint, message }) => hint !== undefined || message.includes('did you mean'),
  );
  assert.ok(said.length > 150);
  assert.ok(hinted.length >= 0.9 * said.length, `${hinted.length} of ${said.length}`);
});

test('a config with errors is a Failure that shows them all and ends with 78', () => {
  assert.throws(
    () => loadConfigOrFail(`${FOLDER}unknown-word.toml`),
    (error) => {
      assert(error instanceof Failure);
      assert.equal(error.exitCode, EXIT.config);
      assert.equal(error.message.match(/error {2}\[E105\]/g)?.length, 5);
      assert.match(error.message, /5 errors, 0 warnings$/);
      return true;
    },
  );
});
