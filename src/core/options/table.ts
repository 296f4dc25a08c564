/** One option: its type, default and range. From this table come types, validation, flags, environment names, TOML keys and docs/options.md. */
export type OptionEntry = { readonly help: string; readonly flag?: string; readonly env?: readonly string[]; readonly built?: false } & (
  | { readonly type: 'boolean'; readonly default: boolean }
  | {
      readonly type: 'integer'
      readonly default: number
      readonly min: number
      readonly max: number
      readonly unit?: string
      readonly values?: readonly number[]
    }
  | { readonly type: 'text'; readonly default: string; readonly pattern: RegExp; readonly allowed: string }
  | { readonly type: 'choice'; readonly default: string; readonly choices: readonly string[] }
  | { readonly type: 'list'; readonly default: readonly string[]; readonly of: 'listen' | 'bootstrap'; readonly maxItems: number }
)

const option = <const Entry extends OptionEntry>(entry: Entry): Entry => entry

/**
 * Keys are those of the TOML file; the library also takes them in camelCase, the environment as SYNAPTIC_MESH_<KEY>.
 * `built: false` marks a part that a later version brings: false (or the default) is accepted, anything else is NOT_AVAILABLE.
 */
export const optionTable = {
  quantum_resistant: option({
    type: 'boolean',
    default: false,
    flag: '--quantum',
    help: 'require hybrid post-quantum channels: no connection with peers that cannot; without it they are preferred'
  }),
  onion_routing: option({
    type: 'boolean',
    default: false,
    built: false,
    flag: '--onion',
    env: ['SYNAPTIC_ENABLE_ONION'],
    help: 'send over onion circuits'
  }),
  shadow_addresses: option({ type: 'boolean', default: false, built: false, flag: '--shadow', help: 'answer under shadow addresses' }),
  traffic_obfuscation: option({ type: 'boolean', default: false, built: false, help: 'shape traffic' }),
  nat_traversal: option({ type: 'boolean', default: false, built: false, help: 'traverse NATs' }),
  mlkem_security_level: option({
    type: 'integer',
    default: 3,
    min: 1,
    max: 5,
    values: [1, 3, 5],
    env: ['SYNAPTIC_QUANTUM_LEVEL'],
    help: 'ML-KEM level of the sessions that this node opens; with quantum_resistant also the least that it takes, otherwise it takes each'
  }),
  quantum_signatures: option({
    type: 'boolean',
    default: false,
    help: 'sign sessions with ML-DSA-65 besides Ed25519, and have no session with a peer that does not'
  }),
  max_peers: option({
    type: 'integer',
    default: 50,
    min: 1,
    max: 1000,
    flag: '--max-peers',
    env: ['SYNAPTIC_MAX_PEERS'],
    help: 'connections kept at most'
  }),
  listen_addrs: option({
    type: 'list',
    of: 'listen',
    maxItems: 16,
    flag: '--listen',
    default: ['/ip4/0.0.0.0/tcp/9000', '/ip6/::/tcp/9000', '/ip4/0.0.0.0/tcp/9001/ws', '/ip6/::/tcp/9001/ws'],
    help: 'addresses to listen on; the next free port is taken when one is in use, and said so; the address of a circuit relay with its /p2p/ID, and /p2p-circuit after it: to be reached over that relay'
  }),
  bootstrap_peers: option({
    type: 'list',
    of: 'bootstrap',
    maxItems: 64,
    flag: '--bootstrap',
    default: [],
    env: ['SYNAPTIC_BOOTSTRAP_PEERS'],
    help: 'peers to find others through'
  }),
  network: option({
    type: 'text',
    default: 'main',
    pattern: /^[a-z0-9][a-z0-9-]{0,39}$/,
    allowed: '1 to 40 of a-z, 0-9 and -',
    flag: '--network',
    help: 'the network to be in'
  }),
  name: option({
    type: 'text',
    default: '',
    pattern: /^([a-z0-9][a-z0-9._-]{0,62})?$/i,
    allowed: 'up to 63 of a-z, 0-9, ., _ and -',
    flag: '--name',
    help: "this node's name, as others see it"
  }),
  mdns: option({ type: 'boolean', default: true, flag: '--mdns', help: 'find and be found on the local network by mDNS' }),
  inbox_max_messages: option({
    type: 'integer',
    default: 10_000,
    min: 10,
    max: 10_000_000,
    help: 'unread messages kept at most; more are refused with a signed receipt'
  }),
  inbox_max_bytes: option({
    type: 'integer',
    default: 268_435_456,
    min: 1_048_576,
    max: 1_099_511_627_776,
    unit: 'bytes',
    help: 'bytes of unread messages kept at most'
  }),
  inbox_max_messages_per_peer: option({ type: 'integer', default: 1_000, min: 1, max: 10_000_000, help: 'unread messages kept of one paired peer' }),
  inbox_max_bytes_per_peer: option({
    type: 'integer',
    default: 33_554_432,
    min: 1_048_576,
    max: 1_099_511_627_776,
    unit: 'bytes',
    help: 'bytes of unread messages kept of one paired peer'
  }),
  inbox_max_held_per_peer: option({ type: 'integer', default: 100, min: 0, max: 100_000, help: 'messages held of one peer that is not paired' }),
  outbox_max_messages: option({ type: 'integer', default: 10_000, min: 10, max: 10_000_000, help: 'messages that may wait to be delivered' }),
  outbox_max_bytes: option({
    type: 'integer',
    default: 268_435_456,
    min: 1_048_576,
    max: 1_099_511_627_776,
    unit: 'bytes',
    help: 'bytes that may wait to be delivered'
  }),
  rate_messages_per_second: option({
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    help: 'messages taken from one paired peer in a second'
  }),
  log_level: option({
    type: 'choice',
    default: 'info',
    choices: ['trace', 'debug', 'info', 'warn', 'error'],
    flag: '--log-level',
    help: 'how much the log tells'
  }),
  http_port: option({ type: 'integer', default: 0, min: 0, max: 65_535, help: 'the control API on 127.0.0.1 with a bearer token; 0 = off' })
} as const satisfies Record<string, OptionEntry>

export type OptionKey = keyof typeof optionTable
