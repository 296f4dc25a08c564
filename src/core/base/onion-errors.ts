import { because, entry } from './error-entry.ts'

/** Errors of onion circuits. Part of the one table. */
export const onionErrors = {
  CIRCUIT_TOO_FEW_RELAYS: entry({
    exit: 10,
    retryable: true,
    message: (d) => `A circuit needs ${d['need']} relay${d['need'] === 1 ? '' : 's'}, and ${d['have']} can be used here${because(d)}`,
    hint: 'Start more nodes with onion_routing on, or ask for fewer relays (--hops and --allow-short for one circuit, the option onion_hops for messages). --via direct sends without a circuit: then both sides and whoever watches them see who talks to whom.',
    next: ['synaptic-mesh p2p status --detailed']
  }),
  CIRCUIT_NO_ENDPOINT: entry({
    exit: 10,
    retryable: true,
    message: (d) => `${d['peer']} is not known to take circuits${because(d)}`,
    hint: 'It must run with onion_routing on (there: synaptic-mesh p2p init --onion), in the same network; what it says of itself arrives by gossip within a minute. --via direct sends without a circuit.'
  }),
  CIRCUIT_GUARDS_FAILED: entry({
    exit: 10,
    retryable: true,
    message: (d) => `None of this node's ${d['guards']} guards is reached, and no other is taken before ${d['until']}`,
    hint: 'Whoever can make guards fail could lead circuits to relays of their own; hence no fourth within a day. Look whether this machine is online; a guard that is started again is tried at once. --via direct sends without a circuit.'
  }),
  ONION_ONLY: entry({
    exit: 10,
    retryable: false,
    message: (d) => `${d['operation']} would go directly to ${d['peer']}, and onion_routing is on`,
    hint: 'Say --via direct to do it all the same: both sides and whoever watches them then see who talks to whom.'
  }),
  CIRCUIT_BUILD_TIMEOUT: entry({
    exit: 6,
    retryable: true,
    message: (d) => `No circuit was built in ${d['elapsedMs']} ms and ${d['attempts']} attempts; the last one ended at hop ${d['hop']}`,
    hint: 'Relays may be away or busy. Try again; other relays are taken.'
  }),
  CIRCUIT_EXTEND_REFUSED: entry({
    exit: 7,
    retryable: true,
    message: (d) => `Hop ${d['hop']} of the circuit could not be added${because(d)}`,
    hint: 'Try again: another relay is taken. When the last hop is the peer itself, look whether it runs.'
  }),
  CIRCUIT_DESTROYED: entry({
    exit: 7,
    retryable: true,
    message: (d) => `The circuit was ended${because(d)}`,
    hint: 'A relay stopped, or a limit was reached. Durable messages go on over the next circuit.'
  }),
  CIRCUIT_HANDSHAKE_FAILED: entry({
    exit: 8,
    retryable: true,
    message: (d) => `The key agreement with a hop failed${because(d)}`,
    hint: 'Nothing was sent. The relay may have changed its key a moment ago: try again.'
  }),
  CIRCUIT_INTEGRITY: entry({
    exit: 8,
    retryable: true,
    message: (d) => `A cell of the circuit was altered, lost, repeated or out of order${because(d)}`,
    hint: 'The circuit was ended, nothing of the cell was used. Durable messages go on over another one.'
  }),
  CIRCUIT_VIOLATION: entry({
    exit: 9,
    retryable: true,
    message: (d) => `A peer broke the rules of circuits${because(d)}`,
    hint: 'What it sent was not used, and its circuit or connection was ended.'
  }),
  CIRCUIT_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => (d['matches'] === undefined ? `There is no circuit ${d['circuit']}` : `${d['matches']} circuits begin with ${d['circuit']}`),
    hint: 'See which there are: they end by themselves after some minutes.',
    next: ['synaptic-mesh p2p circuit list']
  })
} as const
