import { entry, type ErrorEntry } from './error-entry.ts'

/** Errors of what makes the command line comfortable: help, services. Part of the one table. */
export const comfortErrors = {
  TOPIC_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `There is no help on ${d['topic']}`,
    hint: (d) => `There is on: ${(d['topics'] as readonly string[]).join(', ')}.`,
    next: ['synaptic-mesh p2p help']
  }),
  SERVICE_FOREIGN: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['file']} was not written by this program`,
    hint: 'Nothing was changed. Remove or rename the file, or use another profile.',
    next: ['synaptic-mesh p2p service print']
  }),
  SERVICE_UNSUPPORTED: entry({
    exit: 2,
    retryable: false,
    message: (d) => `There is no manager of services on ${d['platform']} that this program can write files for`,
    hint: 'Have the task scheduler run the daemon in the foreground, or name a manager with --kind.',
    next: ['synaptic-mesh p2p start --foreground']
  })
} as const satisfies Record<string, ErrorEntry>
