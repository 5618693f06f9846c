import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hardwareAddress, readMachineId } from '../../src/router/hardware-address.js';

const MACHINE = '0123456789abcdef0123456789abcdef';
const TUNNEL = { name: 'tap1', local: '192.0.2.1' };

test('the address is the same each time: of this machine, this name and this end', () => {
  // sha256("grebe tap 0123456789abcdef0123456789abcdef tap1 192.0.2.1"), its first byte made local and unicast
  assert.equal(hardwareAddress(TUNNEL, MACHINE), '2a:f5:ed:e6:50:98');
  const others = [
    hardwareAddress({ ...TUNNEL, name: 'tap2' }, MACHINE),
    hardwareAddress({ ...TUNNEL, local: '192.0.2.2' }, MACHINE),
    hardwareAddress(TUNNEL, MACHINE.replace('0', '1')),
  ];
  assert.equal(new Set([hardwareAddress(TUNNEL, MACHINE), ...others]).size, 4);
});

test('every address is locally administered, and of one station', () => {
  for (let n = 0; n < 300; n++) {
    const address = hardwareAddress({ ...TUNNEL, name: `tap${n}` }, MACHINE) ?? '';
    assert.match(address, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
    assert.equal(Number.parseInt(address.slice(0, 2), 16) & 3, 2);
  }
});

test('a machine without identity has no such address', () => {
  assert.equal(hardwareAddress(TUNNEL, undefined), undefined);
  const folder = mkdtempSync(join(tmpdir(), 'grebe-machine-'));
  try {
    const place = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const none = [
      join(folder, 'nosuch'),
      place('empty', ''),
      place('first-boot', 'uninitialized\n'),
    ];
    assert.equal(readMachineId(none), undefined);
    assert.equal(readMachineId([...none, place('right', `${MACHINE}\n`)]), MACHINE);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
