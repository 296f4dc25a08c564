/** Plain values that say where an error happened. Never a secret, never a body. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

interface ErrorEntry {
  /** The CLI's exit code: 1 failed, 2 usage, 3 daemon, 4 not allowed, 5 not found, 6 timeout, 7 unreachable, 8 cryptographic, 9 rejected or expired. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 130
  readonly retryable: boolean
  readonly message: (details: ErrorDetails) => string
  readonly hint: string | ((details: ErrorDetails) => string)
  /** Commands that help, ready to paste. */
  readonly next?: readonly string[]
}

const entry = (value: ErrorEntry): ErrorEntry => value
const because = (details: ErrorDetails): string => (details['reason'] === undefined ? '' : `: ${details['reason']}`)

/** Every error that this software reports, in one place. `docs/errors.md` is made from it. */
export const errorTable = {
  // Usage
  USAGE: entry({ exit: 2, retryable: false, message: (d) => `${d['problem']}`, hint: 'Run the command with --help to see what it takes.' }),
  OPTION_INVALID: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['path']} is ${d['value']}: it must be ${d['allowed']}`,
    hint: 'Every option with its range: docs/options.md; every flag: docs/commands.md, or --help.'
  }),
  OPTION_UNKNOWN: entry({
    exit: 2,
    retryable: false,
    message: (d) => `Unknown option ${d['path']}`,
    hint: (d) => (d['suggestion'] === undefined ? 'See docs/options.md for every option.' : `Did you mean ${d['suggestion']}?`)
  }),
  CONFIG_MALFORMED: entry({
    exit: 2,
    retryable: false,
    message: (d) => `The configuration ${d['file']} cannot be read${because(d)}`,
    hint: 'Mend the line that is named; nothing was changed and no default was put in its place.',
    next: ['synaptic-mesh p2p config check']
  }),
  ADDRESS_INVALID: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['address']} is not an address${because(d)}`,
    hint: (d) => (d['suggestion'] === undefined ? 'An address looks like /ip4/192.0.2.1/tcp/9000/p2p/12D3Koo….' : `Write ${d['suggestion']}`)
  }),
  NAME_AMBIGUOUS: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['name']} is claimed by several peers: ${(d['candidates'] as readonly string[]).join(', ')}`,
    hint: 'Name the peer by its id, or pair with the one you mean.'
  }),
  NOT_AVAILABLE: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['feature']} is not part of this version`,
    hint: 'Leave the option out, or set it to false. Nothing was switched on in its place.'
  }),
  NODE_TOO_OLD: entry({
    exit: 2,
    retryable: false,
    message: (d) => `Node ${d['found']} is too old: synaptic-mesh needs Node 24 or newer`,
    hint: 'Install Node 24. In a checkout `npm ci` brings it: run `npx synaptic-mesh` there.'
  }),

  // The daemon and its profile
  NOT_INITIALIZED: entry({
    exit: 3,
    retryable: false,
    message: (d) => `The profile ${d['profile']} does not exist yet`,
    hint: 'Make it first.',
    next: ['synaptic-mesh p2p init']
  }),
  DAEMON_UNREACHABLE: entry({
    exit: 3,
    retryable: true,
    message: (d) => `The daemon of profile ${d['profile']} does not answer${because(d)}`,
    hint: 'Start it, or look at its log.',
    next: ['synaptic-mesh p2p start', 'synaptic-mesh p2p logs']
  }),
  DAEMON_RUNNING: entry({
    exit: 3,
    retryable: false,
    message: (d) => `The profile ${d['profile']} is owned by the daemon with pid ${d['pid']}`,
    hint: 'Use it, or stop it first.',
    next: ['synaptic-mesh p2p stop']
  }),
  DAEMON_START_FAILED: entry({
    exit: 3,
    retryable: true,
    message: (d) => `The daemon of profile ${d['profile']} did not start${because(d)}`,
    hint: 'Its log says why.',
    next: ['synaptic-mesh p2p logs']
  }),
  LISTEN_FAILED: entry({
    exit: 3,
    retryable: true,
    message: (d) => `Cannot listen on ${d['address']}${because(d)}`,
    hint: 'Choose another address with --listen, or free the port.'
  }),
  PORT_PRIVILEGED: entry({
    exit: 3,
    retryable: false,
    message: (d) => `Port ${d['port']} needs a right that this process does not have`,
    hint: (d) =>
      `In a systemd unit: AmbientCapabilities=CAP_NET_BIND_SERVICE. Otherwise: sudo setcap cap_net_bind_service=+ep ${d['file'] ?? '$(readlink -f $(which node))'}, or choose a port from 1024.`
  }),
  SHUTTING_DOWN: entry({ exit: 3, retryable: true, message: () => 'The daemon is stopping', hint: 'Try again when it runs again.' }),

  // State on disk
  KEY_CORRUPT: entry({
    exit: 8,
    retryable: false,
    message: (d) => `The key file ${d['file']} is damaged${because(d)}`,
    hint: 'It was left as it is: an identity is never replaced on its own. Restore it from a backup, or init another profile.'
  }),
  PERMISSIONS_UNSAFE: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['file']} is open to others (mode ${d['mode']}, wanted ${d['wanted']})`,
    hint: (d) => `Run: chmod ${d['wanted']} ${d['file']}`
  }),
  PATH_UNSAFE: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['file']} cannot be used${because(d)}`,
    hint: 'Links, pipes and files of others are never followed. Remove what stands there, or choose another place.'
  }),
  PROFILE_NAME_INVALID: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['name']} is not a profile name`,
    hint: 'A profile name has 1 to 40 of the characters a-z, 0-9, - and _, and begins with a letter or digit.'
  }),
  STATE_NEWER: entry({
    exit: 1,
    retryable: false,
    message: (d) => `${d['file']} was written by a newer version (schema ${d['found']}, this one knows ${d['known']})`,
    hint: 'Use the newer version. Nothing was touched.'
  }),
  STATE_IN_USE: entry({
    exit: 3,
    retryable: true,
    message: (d) => `${d['file']} is in use by another process`,
    hint: 'One process owns a profile: stop the other one first.'
  }),
  STATE_CORRUPT: entry({
    exit: 1,
    retryable: false,
    message: (d) => `${d['file']} is damaged${because(d)}`,
    hint: 'It was left as it is. Restore it from a backup, or move it away to begin anew.'
  }),
  DISK_FULL: entry({
    exit: 1,
    retryable: true,
    message: () => 'The disk is full: nothing new is accepted, what was accepted is kept',
    hint: 'Free some space; the daemon goes on by itself.'
  }),
  STORE_FAILED: entry({
    exit: 1,
    retryable: true,
    message: (d) => `The store failed${because(d)}`,
    hint: 'The daemon stops acknowledging and ends, so that a restart reads what is really on the disk.',
    next: ['synaptic-mesh p2p logs', 'synaptic-mesh p2p start']
  }),

  // Access
  UNAUTHORIZED: entry({ exit: 4, retryable: false, message: () => 'The control API refused the token', hint: 'Use the token file of the profile.' }),
  FORBIDDEN: entry({
    exit: 4,
    retryable: false,
    message: (d) => `Refused${because(d)}`,
    hint: 'The control API answers local programs only: exact Host, no Origin or Referer, JSON bodies.'
  }),
  ROUTE_UNKNOWN: entry({ exit: 5, retryable: false, message: (d) => `There is no ${d['route']}`, hint: 'See docs/commands.md for every operation.' }),
  BODY_TOO_LARGE: entry({
    exit: 2,
    retryable: false,
    message: (d) => `The content has ${d['bytes']} bytes; at most ${d['max']} are carried`,
    hint: 'Send less, or split it.'
  }),
  NOT_PAIRED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['peer']} is not paired with this node: volatile messages go between paired peers only`,
    hint: 'Pair with it first, or send a durable message, which it holds until it is approved.',
    next: ['synaptic-mesh p2p invite', 'synaptic-mesh p2p join INVITE']
  }),
  COMMAND_NOT_ALLOWED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['peer']} takes no Command from this node`,
    hint: 'Commands are taken from paired peers only.',
    next: ['synaptic-mesh p2p invite', 'synaptic-mesh p2p join INVITE']
  }),

  // Names
  PEER_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `No peer is known as ${d['name']}`,
    hint: (d) => {
      if (Array.isArray(d['claimedBy'])) return `A stranger claims this name: ${d['claimedBy'].join(', ')}. Pair with it, or name it by its peer id.`
      return Array.isArray(d['nearest']) && d['nearest'].length > 0
        ? `Nearest names: ${d['nearest'].join(', ')}`
        : 'Pair with it, or discover it first.'
    },
    next: ['synaptic-mesh p2p peers', 'synaptic-mesh p2p discover']
  }),
  MESSAGE_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `No message has the id ${d['id']}`,
    hint: 'List what there is.',
    next: ['synaptic-mesh p2p inbox', 'synaptic-mesh p2p outbox']
  }),

  // Time and reach
  TIMEOUT: entry({
    exit: 6,
    retryable: true,
    message: (d) => `${d['operation']} took longer than ${d['timeoutMs']} ms`,
    hint: 'Give it more time with --timeout.'
  }),
  PEER_UNREACHABLE: entry({
    exit: 7,
    retryable: true,
    message: (d) => `Cannot reach ${d['peer']}${because(d)}`,
    hint: 'A durable message stays in the outbox and is sent when the peer is back.',
    next: ['synaptic-mesh p2p outbox', 'synaptic-mesh p2p peers']
  }),
  ICE_UNAVAILABLE: entry({
    exit: 7,
    retryable: false,
    message: (d) => `This node cannot punch through NATs${because(d)}`,
    hint: 'Install the optional package beside synaptic-mesh, and start the node again: npm install node-datachannel@0.33.4 (with -g when synaptic-mesh was). Peers are reached over relays without it.'
  }),
  ICE_FAILED: entry({
    exit: 7,
    retryable: true,
    message: (d) => `No connection of its own with ${d['peer']}${because(d)}`,
    hint: 'It is still reached over a relay when there is one. A TURN server helps where NATs let nothing through: see turn_servers in docs/options.md.'
  }),
  TURN_NOT_CONFIGURED: entry({
    exit: 7,
    retryable: false,
    message: () => 'No TURN server is configured',
    hint: 'Name one with turn_servers, and give turn_username and turn_password, or turn_secret: docs/options.md.'
  }),
  TURN_FAILED: entry({
    exit: 7,
    retryable: true,
    message: (d) => `The TURN server ${d['server']} gave no address${because(d)}`,
    hint: 'Check turn_servers, turn_username and turn_password, or turn_secret; the server must be reached over UDP: TURN over TCP is not possible in Node.'
  }),
  RELAY_REFUSED: entry({
    exit: 7,
    retryable: true,
    message: (d) => `The relay ${d['relay']} gives this node no place${because(d)}`,
    hint: 'Pair with the relay, or let its operator name this node in relay_allow or serve everybody with --open; when it is full it is asked again by itself.'
  }),
  NAT_METHOD_FAILED: entry({
    exit: 7,
    retryable: true,
    message: (d) => `No connection to ${d['peer']} by ${d['method'] === 'turn' ? 'a TURN server' : 'STUN alone'}${because(d)}`,
    hint: (d) =>
      d['now'] === undefined
        ? 'It is not connected at all now: try --method auto.'
        : `It is connected all the same: ${d['now']}. --method auto takes the best way there is.`
  }),
  NOT_STORED_YET: entry({
    exit: 7,
    retryable: true,
    message: (d) => `${d['peer']} has not confirmed yet; the message stays queued for ${d['ttlS']} s`,
    hint: 'It goes on by itself. Ask again with the outbox.',
    next: ['synaptic-mesh p2p outbox']
  }),
  ABORTED: entry({ exit: 130, retryable: true, message: (d) => `${d['operation']} was interrupted`, hint: 'Nothing else was changed.' }),

  // Cryptography and the wire
  SIGNATURE_INVALID: entry({
    exit: 8,
    retryable: false,
    message: (d) => `A signature of ${d['what']} does not verify`,
    hint: 'The bytes were altered on the way or do not come from the peer that they name.'
  }),
  IDENTITY_MISMATCH: entry({
    exit: 8,
    retryable: false,
    message: (d) => `${d['what']} names ${d['claimed']}, but the connection belongs to ${d['actual']}`,
    hint: 'Another key answers at that address.'
  }),
  KEY_INVALID: entry({
    exit: 8,
    retryable: false,
    message: (d) => `The ${d['what']} for ${d['algorithm']} is not valid${because(d)}`,
    hint: 'Nothing was computed with it. Check where it comes from: keys of another algorithm or level have other lengths.'
  }),
  BACKEND_UNSUPPORTED: entry({
    exit: 2,
    retryable: false,
    message: (d) => `The backend ${d['backend']} does not offer ${d['operation']} for ${d['algorithm']}${because(d)}`,
    hint: 'Another backend does: docs/crypto.md has the table. noble offers everything.'
  }),
  HANDSHAKE_FAILED: entry({
    exit: 8,
    retryable: true,
    message: (d) => `The handshake failed${because(d)}`,
    hint: 'The bytes were altered on the way, or the other side speaks another version. Nothing was sent over the connection.'
  }),
  DOWNGRADE_DETECTED: entry({
    exit: 8,
    retryable: false,
    message: (d) => `${d['peer'] ?? 'The peer'} could do ${d['best']}, but the connection has only ${d['actual']}`,
    hint: 'Somebody on the way may have removed the better protection. Nothing was sent over the connection. If you know that the peer went back to older software: synaptic-mesh p2p trust PEER'
  }),
  MESSAGE_MALFORMED: entry({
    exit: 1,
    retryable: false,
    message: (d) => `Malformed ${d['what']}${because(d)}${d['offset'] === undefined ? '' : ` at byte ${d['offset']}`}`,
    hint: 'The peer or the file does not follow the format of docs/wire.'
  }),
  UNSUPPORTED_VERSION: entry({
    exit: 9,
    retryable: false,
    message: (d) => `${d['what']} has version ${d['version']}, which the receiver does not know`,
    hint: 'Bring both nodes to the same version.'
  }),
  PROTOCOL_LIMIT: entry({
    exit: 9,
    retryable: true,
    message: (d) => `A limit of ${d['protocol']} was reached${because(d)}`,
    hint: 'Send less, or more slowly.'
  }),

  // End-to-end sessions
  LEVEL_REFUSED: entry({
    exit: 8,
    retryable: false,
    message: (d) =>
      `Level ${d['level']} was refused: ${d['by'] ?? 'the peer'} asks for ${d['minimum'] === undefined ? 'more' : `level ${d['minimum']} at least`}`,
    hint: 'Ask for a higher level with --level. Nothing was lowered, and nothing was sent.'
  }),
  SESSION_AUTH_REFUSED: entry({
    exit: 8,
    retryable: false,
    message: (d) => `The session's authentication does not suffice${because(d)}`,
    hint: 'One of the two requires signatures with ML-DSA-65: use --ml-dsa, or set quantum_signatures = true. Nothing was sent.'
  }),
  SESSION_UNCONFIRMED: entry({
    exit: 8,
    retryable: false,
    message: (d) => `The peer did not prove that it has the keys of the session${because(d)}`,
    hint: 'The bytes were altered on the way, or somebody stands between the two.'
  }),
  SESSION_RECORD_INVALID: entry({
    exit: 8,
    retryable: false,
    message: (d) => `A record of the session is not the next one of its peer${because(d)}`,
    hint: 'It was altered, repeated, reordered, sent back, or taken from another session. Nothing of it was delivered; the session ended.'
  }),
  SESSION_TRUNCATED: entry({
    exit: 8,
    retryable: true,
    message: () => 'The session ended without the end mark of the peer',
    hint: 'What came before is whole; what would have followed may have been cut off on the way.'
  }),

  // Delivery
  ID_CONFLICT: entry({
    exit: 9,
    retryable: false,
    message: (d) => `The id ${d['id']} was already used for other content`,
    hint: 'An id names one content for ever: choose another one.'
  }),
  QUOTA: entry({
    exit: 9,
    retryable: true,
    message: (d) => `${d['where']} is full${because(d)}`,
    hint: 'It takes more when some was read, or delivered.',
    next: ['synaptic-mesh p2p outbox']
  }),
  EXPIRED: entry({ exit: 9, retryable: false, message: (d) => `${d['what']} expired`, hint: 'Send it again with a longer --ttl.' }),
  EXPIRED_UNKNOWN: entry({
    exit: 9,
    retryable: false,
    message: (d) => `${d['what']} was sent, and expired before the recipient confirmed: it may or may not have arrived`,
    hint: 'Ask the recipient before you send it again.'
  }),
  CANCELLED: entry({ exit: 9, retryable: false, message: (d) => `${d['what']} was cancelled`, hint: 'Send it again when it is wanted.' }),
  NOT_CANCELLABLE: entry({
    exit: 9,
    retryable: false,
    message: (d) => `${d['id']} is ${d['state']}: it can no longer be cancelled`,
    hint: 'Only what the recipient has not confirmed can be cancelled.'
  }),
  REFUSED: entry({
    exit: 9,
    retryable: false,
    message: (d) => `${d['peer']} refused the message${because(d)}`,
    hint: 'The refusal is signed by the recipient.'
  }),

  // Pairing
  INVITE_INVALID: entry({
    exit: 9,
    retryable: false,
    message: (d) => `The invite is not valid${because(d)}`,
    hint: 'Ask the peer that made it for a new one: it runs synaptic-mesh p2p invite.'
  }),
  INVITE_EXPIRED: entry({
    exit: 9,
    retryable: false,
    message: () => 'The invite expired',
    hint: 'Ask the peer that made it for a new one: it runs synaptic-mesh p2p invite.'
  }),
  INVITE_USED: entry({
    exit: 9,
    retryable: false,
    message: () => 'The invite was used already, or burnt after five failures',
    hint: 'Ask the peer that made it for a new one: it runs synaptic-mesh p2p invite.'
  }),
  NETWORK_MISMATCH: entry({
    exit: 9,
    retryable: false,
    message: (d) =>
      `${d['what'] ?? 'The invite'} is for the network ${d['wanted']}, ${d['own'] === undefined ? 'and the peer is in another one' : `this node is in ${d['own']}`}`,
    hint: 'Both have to be in one network: init --profile NAME --network NETWORK makes a profile for it.'
  }),

  // Last
  INTERNAL: entry({
    exit: 1,
    retryable: false,
    message: (d) => `Something went wrong that should not${because(d)}`,
    hint: 'Please report it with the log.',
    next: ['synaptic-mesh p2p logs']
  })
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorTable
export const errorCodes = Object.keys(errorTable) as readonly ErrorCode[]
export type { ErrorEntry }
