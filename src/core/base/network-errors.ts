import { because, entry } from './error-entry.ts'

/** Errors between nodes: time and reach, cryptography, sessions, delivery, pairing. Part of the one table. */
export const networkErrors = {
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
    hint: 'Look whether it runs and is connected, and what netcheck says on both sides. A message that was accepted waits in the outbox, and is sent when the peer is back.',
    next: ['synaptic-mesh p2p netcheck', 'synaptic-mesh p2p outbox', 'synaptic-mesh p2p peers']
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
      [
        d['now'] === undefined
          ? 'It is not connected at all now: try --method auto.'
          : `It is connected all the same: ${d['now']}. --method auto takes the best way there is.`,
        d['method'] === 'turn'
          ? 'TURN servers are named in turn_servers, with turn_username and turn_password, or turn_secret: docs/relay.md says how.'
          : ''
      ]
        .join(' ')
        .trimEnd()
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
} as const
