import type { ListItem } from './list-items.ts'

/** One option: its type, default and range. From this table come types, validation, flags, environment names, TOML keys and docs/options.md. */
export type OptionEntry = {
  readonly help: string
  readonly flag?: string
  readonly env?: readonly string[]
  readonly built?: false
  /** Never shown, neither by `config get` nor by an error. */
  readonly secret?: true
} & (
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
  | { readonly type: 'list'; readonly default: readonly string[]; readonly of: ListItem; readonly maxItems: number }
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
    flag: '--onion',
    env: ['SYNAPTIC_ENABLE_ONION'],
    help: 'send messages over onion circuits and never directly, take circuits of others, and relay for the network unless onion_relay is off'
  }),
  onion_relay: option({
    type: 'boolean',
    default: true,
    help: 'with onion_routing, carry the circuits of others inside of the network, within limits; never anything to the open Internet'
  }),
  onion_hops: option({ type: 'integer', default: 3, min: 1, max: 8, help: 'relays of a circuit, the destination not counted' }),
  onion_policy: option({
    type: 'choice',
    default: 'auto',
    choices: ['auto', 'lan', 'strict'],
    help: 'how different the relays of a circuit must be: strict wants other networks, other families and relays known for a day; lan waives that, and every circuit says so; auto is lan while all known relays have private addresses, otherwise strict'
  }),
  onion_trust: option({
    type: 'list',
    of: 'peer-id',
    maxItems: 256,
    default: [],
    help: 'relays of operators that you trust: every circuit has one of them, and one that is not, when any are named'
  }),
  onion_family: option({
    type: 'list',
    of: 'peer-id',
    maxItems: 32,
    default: [],
    help: 'other relays of the same operator: no circuit has two of a family'
  }),
  onion_max_circuits: option({ type: 'integer', default: 1_024, min: 1, max: 100_000, help: 'as an onion relay, circuits at one time' }),
  onion_bytes_per_second: option({
    type: 'integer',
    default: 1_048_576,
    min: 16_384,
    max: 1_073_741_824,
    unit: 'bytes a second',
    help: 'as an onion relay, what one neighbour may send; over it the neighbour waits'
  }),
  shadow_addresses: option({ type: 'boolean', default: false, built: false, flag: '--shadow', help: 'answer under shadow addresses' }),
  traffic_obfuscation: option({ type: 'boolean', default: false, built: false, help: 'shape traffic' }),
  nat_traversal: option({
    type: 'boolean',
    default: true,
    flag: '--nat',
    help: 'be reached behind NATs: ask STUN servers, keep places at relays, punch; a node that listens on loopback addresses only asks nobody'
  }),
  port_mapping: option({
    type: 'boolean',
    default: true,
    help: "open a port in the router by UPnP or NAT-PMP; the node's address is then known to whoever connects"
  }),
  stun_servers: option({
    type: 'list',
    of: 'stun',
    maxItems: 8,
    default: [],
    flag: '--stun',
    help: 'STUN servers, as stun:HOST[:PORT]; relays of this software are asked besides'
  }),
  turn_servers: option({
    type: 'list',
    of: 'turn',
    maxItems: 4,
    default: [],
    flag: '--turn',
    help: 'TURN servers over UDP, as turn:HOST[:PORT]'
  }),
  turn_username: option({
    type: 'text',
    default: '',
    pattern: /^[^\s\p{C}]{0,256}$/u,
    allowed: 'up to 256 characters without spaces',
    help: 'the user at the TURN servers'
  }),
  turn_password: option({
    type: 'text',
    default: '',
    pattern: /^[^\p{C}]{0,256}$/u,
    allowed: 'up to 256 characters',
    secret: true,
    help: 'the password at the TURN servers'
  }),
  turn_secret: option({
    type: 'text',
    default: '',
    pattern: /^[^\p{C}]{0,256}$/u,
    allowed: 'up to 256 characters',
    secret: true,
    help: "the TURN servers' shared secret, for credentials of an hour (the REST API's); instead of a password"
  }),
  relays: option({
    type: 'list',
    of: 'bootstrap',
    maxItems: 16,
    default: [],
    flag: '--relay',
    help: 'circuit relays to be reached over, with /p2p/ID; places are kept at two; paired peers and bootstrap peers whose cards say that they relay are used besides'
  }),
  announce_addrs: option({
    type: 'list',
    of: 'announce',
    maxItems: 16,
    default: [],
    flag: '--announce',
    help: 'addresses under which this node is reached for sure, announced without asking anybody'
  }),
  relay_serve: option({ type: 'boolean', default: false, help: 'be a circuit relay and a STUN server for others; see p2p relay serve' }),
  relay_open: option({ type: 'boolean', default: false, flag: '--open', help: 'as a relay, serve strangers, not only paired peers' }),
  relay_allow: option({
    type: 'list',
    of: 'peer-id',
    maxItems: 1_000,
    default: [],
    help: 'as a relay, peers to serve besides the paired ones'
  }),
  relay_max_reservations: option({ type: 'integer', default: 256, min: 1, max: 10_000, help: 'as a relay, peers that keep a place at one time' }),
  relay_max_circuits: option({ type: 'integer', default: 512, min: 1, max: 10_000, help: 'as a relay, circuits at one time' }),
  relay_max_circuits_per_peer: option({
    type: 'integer',
    default: 16,
    min: 1,
    max: 1_000,
    help: 'as a relay, circuits that one peer has opened at one time'
  }),
  relay_circuit_bytes: option({
    type: 'integer',
    default: 1_073_741_824,
    min: 131_072,
    max: 1_099_511_627_776,
    unit: 'bytes',
    help: 'as a relay, bytes that one circuit carries in each direction'
  }),
  relay_circuit_seconds: option({
    type: 'integer',
    default: 86_400,
    min: 120,
    max: 604_800,
    unit: 'seconds',
    help: 'as a relay, how long one circuit lives'
  }),
  relay_bytes_per_second: option({
    type: 'integer',
    default: 4_194_304,
    min: 16_384,
    max: 1_073_741_824,
    unit: 'bytes a second',
    help: 'as a relay, what one peer may send over all its circuits; over it the peer waits'
  }),
  stun_port: option({ type: 'integer', default: 3478, min: 0, max: 65_535, help: 'as a relay, the UDP port of the STUN server; 0 = none' }),
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
  passphrase_file: option({
    type: 'text',
    default: '',
    pattern: /^(?:(?:\/|[A-Za-z]:[\\/])[^\p{C}]{0,4000})?$/u,
    allowed: 'an absolute path',
    help: 'the file (mode 0600) with the passphrase of an encrypted identity; a new identity is encrypted with it'
  }),
  http_port: option({ type: 'integer', default: 0, min: 0, max: 65_535, help: 'the control API on 127.0.0.1 with a bearer token; 0 = off' }),
  gateway: option({
    type: 'boolean',
    default: false,
    help: 'serve REST, events, a WebSocket and metrics on 127.0.0.1, with tokens, whenever the node runs'
  }),
  gateway_port: option({ type: 'integer', default: 9_400, min: 0, max: 65_535, help: 'the port of the gateway on 127.0.0.1; 0 = any that is free' })
} as const satisfies Record<string, OptionEntry>

export type OptionKey = keyof typeof optionTable
