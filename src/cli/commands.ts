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
    name: 'trace',
    summary: 'show packets of the running router as they pass, check by check',
    arguments: [{ name: 'NAME', description: 'of one tunnel only' }],
    options: [
      { name: 'count', short: 'n', value: 'N', description: 'end after N packets' },
      { name: 'drops', description: 'dropped packets only' },
      {
        name: 'rate',
        value: 'N',
        description: 'most packets a second (default 1000); the rest is counted',
      },
    ],
    examples: [
      ['grebe trace gre1 -n 10', 'ten packets of one tunnel, both ways'],
      ['grebe trace --drops', 'what is dropped, and why; with packets that no tunnel takes'],
      ['grebe trace -j', 'one JSON object a line'],
    ],
    more: [
      'Traffic never waits for it: the router copies the first 128 bytes of a packet aside, and counts what',
      'comes too fast. ^C ends it, and with it all that it costs. One trace at a time.',
    ],
    load: async () => (await import('./commands/trace.js')).runTrace,
  },
  {
    name: 'explain',
    summary: 'show the verdict that a packet would get, check by check',
    arguments: [{ name: 'PACKET...', description: 'the packet in words' }],
    options: [
      { name: 'hex', value: 'DIGITS', description: 'one packet, from its outer IP header on' },
      {
        name: 'tunnel',
        value: 'NAME',
        description: 'the tunnel whose peer sent it; fills in what the words leave out',
      },
      {
        name: 'sent',
        description: 'with --hex and --tunnel: the digits are what a host sends into the tunnel',
      },
    ],
    examples: [
      [
        'grebe explain gre from 198.51.100.2 to 192.0.2.1 key 8 icmp from 10.20.0.5 to 10.9.0.1',
        'received',
      ],
      ['grebe explain to 10.20.0.5 via gre1', 'sent by a host'],
      ["grebe explain --hex '45 00 00 5c ...' --config grebe.toml -j", 'its bytes; as JSON'],
    ],
    more: [
      'Words: a packet that comes from outside begins with its mode: gre, gretap, ipip, sit, ip6gre,',
      'ip6gretap, ip4ip6, ip6ip6, gre-udp; then of its outer header: from A, to A, key N, seq N, csum,',
      'badcsum, type N, ttl N, tos N, fragment, dev NAME; then its inner packet: ip, icmp, icmp6, tcp,',
      'udp or proto N, and from A, to A, ttl N, tos N, length N, sport N, dport N, df, fragment.',
      'One that a host sends has the words of an inner packet, and: via TUNNEL. What is not said is as',
      'in a ping between the tunnel and the first network that it accepts.',
    ],
    load: async () => (await import('./commands/explain.js')).runExplain,
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
