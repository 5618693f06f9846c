import type { CommandSpec, OptionSpec } from './command.js';

/** Options that every command takes, anywhere on the line. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: 'json', short: 'j', description: 'print JSON, for programs' },
  { name: 'socket', value: 'PATH', description: 'control socket (default /run/grebe/grebe.sock)' },
  { name: 'config', value: 'FILE', description: 'config (default /etc/grebe/grebe.toml)' },
  { name: 'quiet', short: 'q', description: 'say less' },
  { name: 'verbose', short: 'v', description: 'say more' },
  {
    name: 'color',
    value: 'WHEN',
    choices: ['auto', 'always', 'never'],
    description: 'colored output; NO_COLOR is honoured',
  },
];

/** All commands, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'run',
    summary: 'run the router in the foreground',
    arguments: [],
    options: [{ name: 'dry-run', description: 'say what it would make, and make nothing' }],
    examples: [
      ['grebe run', 'with /etc/grebe/grebe.toml'],
      ['grebe run --config ./lab.toml --socket ./lab.sock', 'a second router, beside the first'],
    ],
    load: async () => (await import('./commands/run.js')).runRun,
  },
  {
    name: 'check',
    summary: 'parse and judge a config; changes nothing',
    arguments: [{ name: 'FILE', description: 'the config' }],
    options: [],
    examples: [
      ['grebe check', 'judges /etc/grebe/grebe.toml'],
      ['grebe check lab.toml -j', 'the same as JSON, for an editor'],
    ],
    load: async () => (await import('./commands/check.js')).runCheck,
  },
  {
    name: 'status',
    summary: 'show tunnels, their traffic and their drops',
    arguments: [{ name: 'NAME', description: 'one tunnel only' }],
    options: [{ name: 'watch', short: 'w', description: 'print again every second' }],
    examples: [
      ['grebe', 'all tunnels of the running router'],
      ['grebe status gre1 -w', 'one of them, again and again, with rates'],
      ['grebe status -j', 'as JSON; exit code 3 when a tunnel is down'],
    ],
    load: async () => (await import('./commands/status.js')).runStatus,
  },
  {
    name: 'decode',
    summary: 'decode tunnel packets of a capture file or of hex digits',
    arguments: [{ name: 'FILE', description: 'pcap or pcapng' }],
    options: [
      { name: 'hex', value: 'DIGITS', description: 'one packet, from its outer IP header on' },
    ],
    examples: [
      ['grebe decode dump.pcapng', 'what the packets are'],
      ['grebe decode dump.pcap --config grebe.toml', 'and what the router would do with them'],
      ['grebe decode -j dump.pcap', 'one JSON object a line'],
    ],
    load: async () => (await import('./commands/decode.js')).runDecode,
  },
  {
    name: 'codec',
    summary: 'list, verify and swap the builds of the packet codec',
    arguments: [
      { name: 'ACTION', description: 'list (default), use or verify' },
      { name: 'BUILD', description: 'name of a build, or path of a .wasm' },
    ],
    options: [{ name: 'dry-run', description: 'use: judge the build, and swap nothing' }],
    examples: [
      ['grebe codec', 'the builds, and which one runs'],
      ['grebe codec use scalar', 'swaps the live codec; no packet is lost'],
      ['grebe codec verify ./mine.wasm', 'judges a build without using it'],
    ],
    load: async () => (await import('./commands/codec.js')).runCodec,
  },
  {
    name: 'demo',
    summary: 'show tunnels carrying real traffic on this machine',
    arguments: [],
    options: [
      {
        name: 'level',
        value: 'LEVEL',
        choices: ['a', 'b'],
        description: 'a: network namespaces, b: in memory (default: the best possible)',
      },
      { name: 'quick', description: 'shorter transfers' },
    ],
    examples: [
      ['grebe demo', 'the best that the rights of this user allow'],
      ['grebe demo --level b', 'both routers in memory'],
    ],
    load: async () => (await import('./commands/demo.js')).runDemoCommand,
  },
  {
    name: 'bench',
    summary: 'measure the codec and the path through two routers',
    arguments: [{ name: 'WHAT', description: 'codec, path or all (default)' }],
    options: [{ name: 'quick', description: 'shorter, less exact' }],
    examples: [
      ['grebe bench', 'everything'],
      ['grebe bench codec --quick', 'ns a packet of every build'],
    ],
    load: async () => (await import('./commands/bench.js')).runBench,
  },
];
