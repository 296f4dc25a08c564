import { entry, type ErrorEntry } from './error-entry.ts'

/** Errors of tools: diagnosis, keys and backups, the gateway. Part of the one table. */
export const toolErrors = {
  // The gateway
  GATEWAY_BUSY: entry({
    exit: 3,
    retryable: true,
    message: (d) => `There are as many ${d['what']} as there may be (${d['max']})`,
    hint: 'Close one that is not needed, or wait until one ends.'
  }),
  TOKEN_EXISTS: entry({
    exit: 9,
    retryable: false,
    message: (d) => `There is a token named ${d['name']} already`,
    hint: 'Choose another name, or revoke that one first.',
    next: ['synaptic-mesh p2p gateway token list']
  }),
  TOKEN_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `There is no token named ${d['name']}`,
    hint: 'See which there are.',
    next: ['synaptic-mesh p2p gateway token list']
  })
} as const satisfies Record<string, ErrorEntry>
