import { command } from '../command.ts'
import { timeoutMs } from './fields.ts'
import { onionStatus } from './circuit.ts'
import { natRates } from './nat.ts'
import { connectionInfo, daemonInfo, optionValue, peerInfo, sessionInfo } from './shapes.ts'
import { optionTable } from '../../core/options/index.ts'

const list = { type: 'list', maxCharacters: 300, placeholder: 'MULTIADDR' } as const

export const init = command({
  words: ['init'],
  help: 'make the identity and configuration of a node and start it; running it again changes only what is told',
  fields: {
    name: { type: 'text', max: 63, help: optionTable.name.help },
    network: { type: 'text', max: 40, help: optionTable.network.help },
    listen: { ...list, maxItems: optionTable.listen_addrs.maxItems, help: optionTable.listen_addrs.help },
    bootstrap: { ...list, maxItems: optionTable.bootstrap_peers.maxItems, help: optionTable.bootstrap_peers.help },
    relay: { ...list, maxItems: optionTable.relays.maxItems, help: optionTable.relays.help },
    announce: { ...list, maxItems: optionTable.announce_addrs.maxItems, help: optionTable.announce_addrs.help },
    stun: { ...list, maxItems: optionTable.stun_servers.maxItems, placeholder: 'SERVER', help: optionTable.stun_servers.help },
    turn: { ...list, maxItems: optionTable.turn_servers.maxItems, placeholder: 'SERVER', help: optionTable.turn_servers.help },
    maxPeers: { type: 'integer', min: optionTable.max_peers.min, max: optionTable.max_peers.max, placeholder: 'N', help: optionTable.max_peers.help },
    mdns: { type: 'boolean', negatable: true, help: optionTable.mdns.help },
    nat: { type: 'boolean', negatable: true, help: optionTable.nat_traversal.help },
    quantum: { type: 'boolean', negatable: true, help: optionTable.quantum_resistant.help },
    onion: { type: 'boolean', negatable: true, help: optionTable.onion_routing.help },
    noRelay: { type: 'boolean', help: 'with --onion, do not carry the circuits of others (the option onion_relay)' },
    passphraseFile: { type: 'text', max: 4_000, placeholder: 'FILE', help: optionTable.passphrase_file.help },
    shadow: { type: 'boolean', help: `${optionTable.shadow_addresses.help} (not in this version)` }
  },
  examples: [
    'synaptic-mesh p2p init',
    'synaptic-mesh p2p init --max-peers 100',
    'synaptic-mesh p2p init --onion --no-relay',
    'synaptic-mesh p2p init --name agent-001 --bootstrap /dns4/bootstrap.example/tcp/9000/p2p/12D3KooW…'
  ],
  errors: [
    'OPTION_INVALID',
    'ADDRESS_INVALID',
    'NOT_AVAILABLE',
    'CONFIG_MALFORMED',
    'KEY_CORRUPT',
    'PASSPHRASE_NEEDED',
    'PASSPHRASE_WRONG',
    'PASSPHRASE_UNUSABLE',
    'PERMISSIONS_UNSAFE',
    'PATH_UNSAFE',
    'DAEMON_START_FAILED',
    'LISTEN_FAILED'
  ],
  output: (z) =>
    z.strictObject({
      peerId: z.string(),
      profile: z.string(),
      created: z.boolean(),
      changed: z.array(z.strictObject({ option: z.string(), value: optionValue(z) })),
      features: z.strictObject({
        quantum: z.strictObject({ policy: z.enum(['prefer', 'require']), level: z.int() }),
        onion: z.boolean(),
        onionRelay: z.boolean(),
        shadow: z.boolean()
      }),
      maxPeers: z.int(),
      name: z.string(),
      network: z.string(),
      config: z.string(),
      addresses: z.array(z.string()),
      daemon: daemonInfo(z).optional()
    })
})

const passphraseFile = {
  type: 'text',
  min: 1,
  max: 4_000,
  local: true,
  placeholder: 'FILE',
  help: 'the passphrase of an encrypted identity, for this time; the option passphrase_file is for good'
} as const

export const start = command({
  words: ['start'],
  help: "start the profile's daemon",
  fields: {
    foreground: { type: 'boolean', default: false, local: true, help: 'stay in the foreground, for a service manager' },
    passphraseFile
  },
  examples: ['synaptic-mesh p2p start', 'synaptic-mesh p2p start --foreground', 'synaptic-mesh p2p start --passphrase-file passphrase'],
  errors: [
    'NOT_INITIALIZED',
    'DAEMON_RUNNING',
    'DAEMON_START_FAILED',
    'LISTEN_FAILED',
    'KEY_CORRUPT',
    'PASSPHRASE_NEEDED',
    'PASSPHRASE_WRONG',
    'PASSPHRASE_UNUSABLE',
    'CONFIG_MALFORMED',
    'PERMISSIONS_UNSAFE',
    'STATE_NEWER',
    'STATE_CORRUPT'
  ],
  output: (z) => z.strictObject({ profile: z.string(), started: z.boolean(), pid: z.int(), socket: z.string(), addresses: z.array(z.string()) })
})

export const stop = command({
  words: ['stop'],
  help: "stop the profile's daemon",
  fields: {},
  examples: ['synaptic-mesh p2p stop'],
  errors: [],
  output: (z) => z.strictObject({ profile: z.string(), stopped: z.boolean(), pid: z.int().optional() }),
  route: { method: 'POST', path: '/v1/stop', scope: 'admin' }
})

export const restart = command({
  words: ['restart'],
  help: "stop the profile's daemon and start it again",
  fields: { passphraseFile },
  examples: ['synaptic-mesh p2p restart'],
  errors: start.errors,
  output: start.output
})

export const logs = command({
  words: ['logs'],
  help: "print the daemon's log",
  fields: {
    follow: { type: 'boolean', default: false, short: '-f', local: true, help: 'go on printing what is added' },
    lines: { type: 'integer', min: 0, max: 100_000, default: 50, local: true, help: 'how many of the last lines' }
  },
  examples: ['synaptic-mesh p2p logs --lines 200', 'synaptic-mesh p2p logs -f'],
  errors: ['NOT_INITIALIZED'],
  output: (z) => z.looseObject({ time: z.number(), level: z.string(), event: z.string() })
})

export const status = command({
  words: ['status'],
  help: 'tell how the node is',
  fields: { detailed: { type: 'boolean', default: false, help: 'with peers, connections and versions' } },
  examples: ['synaptic-mesh p2p status', 'synaptic-mesh p2p status --detailed'],
  errors: [],
  output: (z) =>
    z.strictObject({
      peerId: z.string(),
      profile: z.string(),
      name: z.string(),
      network: z.string(),
      uptimeS: z.number(),
      addresses: z.array(z.string()),
      reachability: z.enum(['direct', 'none', 'relay', 'unknown']),
      peers: z.strictObject({ connected: z.int(), quantum: z.int(), paired: z.int(), known: z.int(), blocked: z.int() }),
      quantum: z.strictObject({
        policy: z.enum(['prefer', 'require']),
        level: z.int(),
        sessions: z.int(),
        failures: z.strictObject({ connections: z.record(z.string(), z.int()), sessions: z.record(z.string(), z.int()) })
      }),
      /** `strangers`: peers of which messages are held. */
      inbox: z.strictObject({ unread: z.int(), held: z.int(), strangers: z.int() }),
      outbox: z.strictObject({ queued: z.int() }),
      bytes: z.strictObject({ sent: z.number(), received: z.number() }),
      latencyMs: z.strictObject({ p50: z.number().optional(), p95: z.number().optional(), p99: z.number().optional() }),
      nat: natRates(z),
      onion: onionStatus(z),
      relays: z.array(z.strictObject({ peerId: z.string(), address: z.string(), reserved: z.boolean(), latencyMs: z.number().optional() })),
      serving: z
        .strictObject({ reservations: z.int(), circuits: z.int(), bytes: z.number(), refused: z.record(z.string(), z.int()), stunPort: z.int() })
        .optional(),
      health: z.array(z.strictObject({ code: z.string(), message: z.string(), hint: z.string() })),
      daemon: z.strictObject({ pid: z.int(), socket: z.string(), rssBytes: z.number() }),
      peerList: z.array(peerInfo(z)).optional(),
      connections: z.array(connectionInfo(z)).optional(),
      sessions: z.array(sessionInfo(z)).optional(),
      versions: z.record(z.string(), z.string()).optional()
    }),
  route: { method: 'GET', path: '/v1/status', scope: 'read' }
})

export const metrics = command({
  words: ['metrics'],
  help: 'print the metrics in the text format of Prometheus',
  fields: {},
  examples: ['synaptic-mesh p2p metrics'],
  errors: [],
  output: (z) => z.strictObject({ contentType: z.string(), text: z.string() }),
  route: { method: 'GET', path: '/v1/metrics', scope: 'read' }
})

export const demo = command({
  words: ['demo'],
  help: 'show a whole mesh on this machine: nodes as real processes, all nine types of message, a group, a crash that loses nothing, onion circuits',
  fields: { nodes: { type: 'integer', min: 3, max: 16, default: 8, help: 'how many nodes' } },
  examples: ['synaptic-mesh p2p demo'],
  errors: ['DAEMON_START_FAILED', 'TIMEOUT', 'ABORTED'],
  output: (z) =>
    z.strictObject({
      nodes: z.int(),
      seconds: z.number(),
      discovered: z.int(),
      messages: z.array(z.strictObject({ type: z.string(), from: z.string(), to: z.string(), status: z.string(), ms: z.number() })),
      request: z.strictObject({ command: z.string(), response: z.string(), ms: z.number() }),
      group: z.strictObject({
        name: z.string(),
        members: z.int(),
        status: z.string(),
        stored: z.int(),
        ms: z.number()
      }),
      crash: z.strictObject({ node: z.string(), sentWhileDown: z.int(), deliveredAfterRestart: z.int(), keptAcrossCrash: z.int() }),
      circuits: z.array(
        z.strictObject({
          from: z.string(),
          to: z.string(),
          relays: z.int(),
          buildMs: z.number(),
          rttMs: z.number(),
          status: z.string(),
          path: z.string(),
          ms: z.number()
        })
      ),
      ok: z.boolean()
    })
})

/** How the command line and the daemon find each other out; not a command. */
export const daemon = command({
  words: ['daemon'],
  help: 'tell which daemon this is',
  fields: { timeoutMs: timeoutMs(5_000) },
  examples: [],
  errors: [],
  output: (z) =>
    z.strictObject({
      profile: z.string(),
      pid: z.int(),
      version: z.string(),
      peerId: z.string(),
      socket: z.string(),
      addresses: z.array(z.string())
    }),
  route: { method: 'GET', path: '/v1/daemon', scope: 'read' }
})
