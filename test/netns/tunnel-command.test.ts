// grebe diff, reload and tunnel as they are typed, against a router that carries packets.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertAccounted } from '../support/accounted.js';
import {
  ANSWERED,
  assertAnswered,
  GREBE,
  lacking,
  OUTER,
  other,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { scrape } from '../support/metrics.js';
import { ours, rewrite, still } from '../support/reloads.js';

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function sayTo(socket: string): (...words: string[]) => Said {
  return (...words) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [GREBE, ...words, '--socket', socket, '--color', 'never'],
      { encoding: 'utf8' },
    );
    return { code: status, out: stdout.trimEnd(), err: stderr.trimEnd() };
  };
}

test('tunnels are added, changed and removed by the words of ip tunnel, and saved beside the comments', {
  skip: lacking('ping'),
}, async () => {
  await withLab('typed', { ipv6: false, tunnels: still }, async ({ namespaces, rA, rB, a, b }) => {
    const [toA, toB] = [sayTo(a.socket), sayTo(b.socket)];
    const file = (): string => readFileSync(a.config, 'utf8');
    writeFileSync(a.config, `# ours\n${file().replace('key = 1', 'key = 1 # the first')}`);
    const before = file();

    const words = (side: Side): string[] =>
      `mode gre local ${OUTER[side]} rem ${OUTER[other(side)]} key 7 csum`.split(' ');
    const dry = toA('tunnel', 'add', 'new', ...words('A'), '--dry-run');
    assert.deepEqual([dry.code, dry.out], [0, '+ new'], dry.err);
    assert.equal(toA('tunnel', 'show', 'new').code, 66);
    for (const [say, side, router] of [
      [toA, 'A', rA],
      [toB, 'B', rB],
    ] as const) {
      const said = say('tun', 'add', 'new', ...words(side));
      assert.deepEqual([said.code, said.out], [0, '+ new'], said.err);
      namespaces.run(router, 'ip', ['address', 'add', `10.5.0.${ours(side)}/24`, 'dev', 'new']);
    }
    await assertAnswered(namespaces, rA, '10.5.0.2');
    assert.equal(file(), before);
    assert.equal(
      toA('tunnel', 'show', 'new').out,
      'new mode gre remote 192.0.2.2 local 192.0.2.1 key 7 csum',
    );

    // Changed in place, and saved: all of it, as the file did not have the tunnel.
    const changed = toA('tunnel', 'change', 'new', 'ttl', '9', '--save');
    assert.equal(changed.out, '~ new\n    ttl = "inherit" -> 9');
    assert.ok(file().startsWith(before), file());
    assert.match(file(), /\n\[tunnel\.new\]\nmode = "gre"\n(.*\n)*ttl = 9\n/);
    await assertAnswered(namespaces, rA, '10.5.0.2');
    // One that the file has is changed where it stands.
    assert.equal(toA('tunnel', 'change', 'still', 'key', '3', 'tos', '0x10', '--save').code, 0);
    assert.match(file(), /^# ours\n(.*\n)*key = 3 # the first\n/);
    assert.equal(toA('diff').out, '', 'the file and the router are the same');

    for (const [wrong, code, message] of [
      [['add', 'new', ...words('A')], 1, /tunnel new is there already: EEXIST/],
      [['change', 'none', 'ttl', '3'], 66, /there is no tunnel "none"/],
      [
        ['add', 'x', 'mode', 'gre', 'remote', '192.0.2.2', 'colour', 'red'],
        64,
        /"colour" is no word/,
      ],
      [
        ['add', 'x', 'mode', 'gre', 'local', '192.0.2.1', 'remote', '192.0.2.2', 'key', '7'],
        78,
        /x takes the same packets as new/,
      ],
      [['add', 'u0', 'mode', 'ipip', 'remote', '192.0.2.2'], 2, /u0: .*EEXIST/],
      [['add'], 64, /which tunnel\?/],
      [['burn', 'x'], 64, /no action "burn"/],
    ] as const) {
      const said = toA('tunnel', ...wrong);
      assert.equal(said.code, code, said.err);
      assert.match(said.err, message);
    }
    assert.equal(toA('tunnel', 'del', 'new', '--save').out, '- new');
    assert.doesNotMatch(file(), /tunnel\.new/);
    assert.match(file(), /# the first/);
  });
});

/** The tunnel as an inline table at A, as dotted keys at B. */
function formed(side: Side): string {
  const [, ...lines] = still(side).trim().split('\n');
  return side === 'A'
    ? `[tunnel] # all of ours\nstill = { ${lines.join(', ')} } # inline\n# end`
    : `[tunnel] # all of ours\n${lines.map((line, n) => `  still.${line} # ${n}\n`).join('')}`;
}

test('tunnels in inline tables and dotted keys are saved in their form, while they carry packets', {
  skip: lacking('ping'),
}, async () => {
  await withLab('formed', { ipv6: false, tunnels: formed }, async (lab) => {
    const { namespaces, rA, a, b } = lab;
    const [toA, toB] = [sayTo(a.socket), sayTo(b.socket)];
    const [fileA, fileB] = [a, b].map(
      ({ config }) =>
        () =>
          readFileSync(config, 'utf8'),
    );
    assert.ok(fileA && fileB);
    const [beforeA, beforeB] = [fileA(), fileB()];
    await assertAnswered(namespaces, rA, '10.9.0.2');

    for (const say of [toA, toB]) {
      const said = say('tunnel', 'change', 'still', 'csum', 'key', '5', '--save');
      assert.deepEqual([said.code, said.out], [0, '~ still\n    key = 1 -> 5\n    csum = true']);
    }
    await assertAnswered(namespaces, rA, '10.9.0.2');
    const changed = (text: string): string => text.replace('key = 1', 'key = 5');
    assert.equal(fileA(), changed(beforeA).replace(' } # inline', ', csum = true } # inline'));
    assert.equal(fileB(), `${changed(beforeB)}  still.csum = true\n`);

    // Another tunnel comes and goes: what the file said before, it says after.
    const words = 'mode gre local 192.0.2.1 remote 192.0.2.2 key 8'.split(' ');
    const added = toA('tunnel', 'add', 'more', ...words, '--save');
    assert.deepEqual([added.code, added.out], [0, '+ more'], added.err);
    assert.match(fileA(), /\n\n\[tunnel\.more\]\nmode = "gre"\n/);
    assert.equal(toA('tunnel', 'del', 'more', '--save').code, 0);
    for (const say of [toA, toB]) {
      assert.equal(say('diff').out, '', 'the file and the router are the same');
      assert.equal(say('reload').out, 'nothing differs');
    }
    await assertAnswered(namespaces, rA, '10.9.0.2');
    for (const router of [a, b]) {
      const { rx, tx, drops } = await tunnelStatus(router, 'still');
      assert.deepEqual([rx.packets, tx.packets, drops], [3 * ANSWERED, 3 * ANSWERED, {}]);
    }
    await assertAccounted(a, b);

    // A file that is being edited stays as it is, and the router has the change.
    const broken = `${fileA()}\n[tunnel.half`;
    writeFileSync(a.config, broken);
    const refused = toA('tunnel', 'change', 'still', 'ttl', '9', '--save');
    assert.equal(refused.code, 1);
    assert.match(
      refused.err,
      /tunnel still cannot be saved in .*\.toml: the file has errors[\s\S]*grebe check/,
    );
    assert.equal(fileA(), broken);
    assert.match(toA('tunnel', 'show', 'still').out, /ttl 9/);
  });
});

test('diff says what reload will do, reload does it, and the metrics tell whether it could', {
  skip: lacking('ping'),
}, async () => {
  await withLab('said', { ipv6: false, tunnels: still }, async ({ a }) => {
    const say = sayTo(a.socket);
    assert.deepEqual(say('diff').out, '');
    const text = readFileSync(a.config, 'utf8').replace(
      '[router]',
      '[router]\nlanes = 2\ncodec = "scalar"',
    );
    writeFileSync(a.config, text);
    rewrite(
      a,
      `${still('A')}ttl = 3\n${tunnelTable('more', 'A', 'mode = "ipip"', 'allow = ["any"]')}`,
    );
    const lines = [
      ...['~ still', '    ttl = 3', '+ more', 'router codec = "auto" -> "scalar"'],
      'router lanes = 1 -> 2  needs a restart',
    ].join('\n');
    assert.deepEqual([say('diff').out, say('reload', '--dry-run').out], [lines, lines]);
    const done = say('reload');
    assert.deepEqual([done.code, done.out], [0, lines], done.err);
    const status = JSON.parse(say('status', '-j').out);
    assert.deepEqual([status.codec, status.lanes, status.tunnels.length], ['scalar', 1, 2]);
    assert.equal(say('diff').out, 'router lanes = 1 -> 2  needs a restart');

    const reloaded = async (): Promise<number> => {
      const { body } = await scrape({ socketPath: a.socket });
      return Number(/^grebe_config_last_reload_successful (\d)$/m.exec(body)?.[1]);
    };
    assert.equal(await reloaded(), 1);
    assert.equal(say('tunnel', 'change', 'still', 'ttl', '900').code, 64);
    assert.equal(await reloaded(), 1, 'of the file alone');
    rewrite(a, still('A').replace('"gre"', '"grr"'));
    const wrong = say('reload');
    assert.equal(wrong.code, 78);
    assert.match(
      wrong.err,
      /\.toml:\d+:\d+ {2}error {2}\[E\d+\] mode must be one of .* did you mean "gre"\?/,
    );
    assert.equal(await reloaded(), 0);
    const next = `${a.config}.next`;
    writeFileSync(next, `[router]\nsocket = ${JSON.stringify(a.socket)}\n${still('A')}`);
    assert.match(say('diff', next).out, /^- more\n~ still\n {4}ttl = 3 is dropped/);
    assert.equal(say('diff', `${next}.none`).code, 66);
  });
});
