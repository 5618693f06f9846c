import type { CommandSpec } from './command.js';

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
    arguments: [{ name: 'FILE', description: 'the config', complete: 'file' }],
    options: [],
    examples: [
      ['grebe check', 'judges /etc/grebe/grebe.toml'],
      ['grebe check lab.toml -j', 'the same as JSON, for an editor'],
    ],
    load: async () => (await import('./commands/check.js')).runCheck,
  },
  {
    name: 'diff',
    summary: 'show what a reload would change',
    arguments: [
      { name: 'FILE', description: "a config (default: the router's own file)", complete: 'file' },
    ],
    options: [],
    examples: [
      ['grebe diff', 'the file as it is now against the running router'],
      ['grebe diff next.toml -j', 'another file; as JSON'],
    ],
    more: [
      '+ added, - removed, ~ changed without a lost packet, ! rebuilt: the device is made anew.',
    ],
    load: async () => (await import('./commands/diff.js')).runDiff,
  },
  {
    name: 'reload',
    summary: 'take the changed config over, tunnel by tunnel',
    arguments: [],
    options: [
      {
        name: 'confirm',
        value: 'TIME',
        description:
          'on trial: the config before comes back after TIME, unless grebe confirm comes',
      },
      { name: 'dry-run', description: 'say what it would change, and change nothing' },
    ],
    examples: [
      ['grebe reload', 'untouched tunnels lose no packet; a wrong config changes nothing'],
      ['grebe reload --confirm 60s', 'for changes that may lock you out'],
    ],
    load: async () => (await import('./commands/reload.js')).runReload,
  },
  {
    name: 'confirm',
    summary: 'keep the config that is on trial',
    arguments: [],
    options: [
      { name: 'dry-run', description: 'say whether a config is on trial, and change nothing' },
    ],
    examples: [['grebe confirm', 'after grebe reload --confirm 60s']],
    load: async () => (await import('./commands/reload.js')).runConfirm,
  },
  {
    name: 'undo',
    summary: 'bring back the config before the last reload',
    arguments: [],
    options: [{ name: 'dry-run', description: 'say what it would change, and change nothing' }],
    examples: [['grebe undo', 'the file stays as it is; twice: what was undone']],
    load: async () => (await import('./commands/reload.js')).runUndo,
  },
  {
    name: 'tunnel',
    summary: 'add, change, remove and show tunnels in the words of ip tunnel',
    arguments: [
      {
        name: 'ACTION',
        description: 'add, change, replace, del or show (default)',
        complete: ['add', 'change', 'replace', 'del', 'show'],
      },
      { name: 'NAME', description: 'the tunnel' },
      { name: 'WORDS', description: 'of ip tunnel', isMany: true },
    ],
    options: [
      { name: 'save', description: 'write it into the config file, too; its comments stay' },
      { name: 'dry-run', description: 'say what it would change, and change nothing' },
    ],
    examples: [
      ['grebe tunnel add gre1 mode gre remote 192.0.2.2 local 192.0.2.1 ttl 64', 'at run time'],
      ['grebe tunnel change gre1 key 42 csum --save', 'no packet is lost; saved'],
      ['grebe tunnel show gre1', 'as grebe tunnel add takes it'],
    ],
    more: [
      'Words: mode M, local A, remote A, dev D, [i|o]key K, [i|o]csum, [i|o]seq, ttl N|inherit,',
      'tos T|inherit, [no]pmtudisc, ignore-df, encaplimit N|none, flowlabel F|inherit|flow, mtu N. What',
      'they leave out is as ip tunnel has it: ttl inherit, and every inner sender accepted. Addresses',
      'and routes are for the config, or for ip address and ip route.',
    ],
    load: async () => (await import('./commands/tunnel.js')).runTunnel,
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
    name: 'top',
    summary: 'watch tunnels live in a terminal: rates, bars of the last minutes, drops',
    arguments: [],
    options: [],
    examples: [['grebe top', 'arrows and enter drill down, d shows drops, ? all keys, q quits']],
    load: async () => (await import('./commands/top.js')).runTop,
  },
  {
    name: 'web',
    summary: 'print the address of the web page, with the token that opens all of it',
    arguments: [],
    options: [],
    examples: [['grebe web', 'for a browser on this machine; needs api in [router]']],
    load: async () => (await import('./commands/web.js')).runWeb,
  },
  {
    name: 'decode',
    summary: 'decode tunnel packets of a capture file or of hex digits',
    arguments: [{ name: 'FILE', description: 'pcap or pcapng', complete: 'file' }],
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
      'comes too fast. ^C ends it, and with it all that it costs. One trace at a time; grebe top and the web',
      'page show no packets meanwhile.',
    ],
    load: async () => (await import('./commands/trace.js')).runTrace,
  },
  {
    name: 'pcap',
    summary: 'capture packets of the running router as they pass, for Wireshark',
    arguments: [{ name: 'NAME', description: 'of one tunnel only' }],
    options: [
      {
        name: 'write',
        short: 'w',
        value: 'FILE',
        description: 'pcapng file; - is stdout, as is a stdout that is no terminal',
      },
      { name: 'count', short: 'n', value: 'N', description: 'end after N packets' },
      {
        name: 'snap',
        short: 's',
        value: 'BYTES',
        description: 'most bytes of a packet (default: all of it)',
      },
    ],
    examples: [
      ['grebe pcap gre1 -w - | wireshark -k -i -', 'live'],
      ['grebe pcap gre1 -w gre1.pcapng -n 1000', 'a thousand packets, into a file'],
      ['grebe pcap -s 128 | tshark -r -', 'headers of all tunnels, and of packets that none takes'],
    ],
    more: [
      'A packet is there in each form that it had: as the host sends or gets it (inner), and as the peer',
      'does (outer), on an interface for each way and form. Its comment has the verdict, with the reason of',
      'a drop, and how long codec and router took. Traffic never waits for it: what comes too fast is',
      'counted as lost. One capture at a time.',
    ],
    load: async () => (await import('./commands/pcap.js')).runPcap,
  },
  {
    name: 'recorder',
    summary: 'write down the last packets of tunnels, which the router always keeps',
    arguments: [
      { name: 'ACTION', description: 'dump', complete: ['dump'] },
      { name: 'NAME', description: 'of one tunnel only' },
    ],
    options: [
      {
        name: 'write',
        short: 'w',
        value: 'FILE',
        description: 'pcapng file, - for stdout (default: a new one in this folder)',
      },
    ],
    examples: [
      ['grebe recorder dump gre1', 'what passed and what was dropped last, of one tunnel'],
      ['grebe recorder dump -w - | tshark -r - -Y \'frame.comment contains "drop"\'', 'all drops'],
    ],
    more: [
      'Of every tunnel the first 128 bytes of the last packets sent, received and dropped, 16 of each',
      '([router] recorder). The router writes the same by itself when a peer is lost or much is dropped at',
      'once, into /var/lib/grebe/dumps where /var/lib/grebe is there.',
    ],
    load: async () => (await import('./commands/recorder.js')).runRecorder,
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
      {
        name: 'ACTION',
        description: 'list (default), use or verify',
        complete: ['list', 'use', 'verify'],
      },
      { name: 'BUILD', description: 'name of a build, or path of a .wasm', complete: 'file' },
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
    name: 'doctor',
    summary: 'find what is wrong with config, router and machine; changes nothing',
    arguments: [{ name: 'NAME', description: 'one tunnel only' }],
    options: [{ name: 'probe', description: 'send ICMP echo to the remotes of the tunnels, too' }],
    examples: [
      ['grebe doctor', 'all tunnels; what it cannot look at it says: best as root'],
      ['grebe doctor gre1 --probe', 'is the peer there, and do packets of full size get through'],
      ['grebe doctor -j', 'as JSON; exit code 3 when something is to be repaired'],
    ],
    more: [
      'With a router that runs, and without one: then machine and config are judged alone. Without --probe it',
      'sends nothing, but to name servers where a remote is a host name. With -v it tells what is well, too.',
    ],
    load: async () => (await import('./commands/doctor.js')).runDoctor,
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
    arguments: [
      {
        name: 'WHAT',
        description: 'codec, path or all (default)',
        complete: ['codec', 'path', 'all'],
      },
    ],
    options: [{ name: 'quick', description: 'shorter, less exact' }],
    examples: [
      ['grebe bench', 'everything'],
      ['grebe bench codec --quick', 'ns a packet of every build'],
    ],
    load: async () => (await import('./commands/bench.js')).runBench,
  },
  {
    name: 'import',
    summary: "make a config of ip tunnel and ip link lines, or of the kernel's tunnels",
    arguments: [
      {
        name: 'LINES',
        description: 'lines of ip(8) in quotes, a file of them, or - for standard input',
        isMany: true,
        complete: 'file',
      },
    ],
    options: [{ name: 'from-kernel', description: 'read the tunnels of this machine instead' }],
    examples: [
      ["grebe import 'ip tunnel add gre1 remote 192.0.2.2'", 'prints [tunnel.gre1]'],
      ['grebe import tunnels.sh > grebe.toml', 'all lines of a script'],
      ['grebe import --from-kernel', 'what the kernel has now, with addresses and routes'],
    ],
    load: async () => (await import('./commands/import.js')).runImport,
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of the config, for editors',
    arguments: [],
    options: [
      {
        name: 'draft',
        value: 'DRAFT',
        choices: ['2020-12', '4'],
        description: 'of the JSON Schema standard (default 2020-12; Taplo reads 4)',
      },
    ],
    examples: [
      ['grebe schema > grebe.schema.json', 'then #:schema ./grebe.schema.json atop a config'],
      ['grebe schema --draft 4', 'for Taplo and what is built on it'],
    ],
    load: async () => (await import('./commands/schema.js')).runSchema,
  },
  {
    name: 'completion',
    summary: 'print what a shell needs to complete these words',
    arguments: [
      {
        name: 'SHELL',
        description: 'bash, zsh or fish',
        complete: ['bash', 'zsh', 'fish'],
      },
    ],
    options: [],
    examples: [
      ['source <(grebe completion bash)', 'for this shell; in .bashrc for all'],
      ['grebe completion zsh > ~/.zfunc/_grebe', 'where fpath has ~/.zfunc'],
      ['grebe completion fish > ~/.config/fish/completions/grebe.fish', 'for all'],
    ],
    load: async () => (await import('./commands/completion.js')).runCompletion,
  },
];
