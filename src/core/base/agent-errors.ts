import { because, entry, type ErrorEntry } from './error-entry.ts'

/** Errors of agents: handlers, readers, the guard against loops. Part of the one table. */
export const agentErrors = {
  HANDLER_NOT_FOUND: entry({
    exit: 2,
    retryable: false,
    message: (d) => `${d['program']} cannot be run${because(d)}`,
    hint: 'Name a program that exists and is executable: no shell looks at the line, so there are no aliases, no variables and no pipes in it.'
  }),
  HANDLER_FAILED: entry({
    exit: 1,
    retryable: false,
    message: (d) => `The message ${d['id']} was not handled in ${d['attempts']} ${d['attempts'] === 1 ? 'attempt' : 'attempts'}${because(d)}`,
    hint: 'It is left in the inbox, unread: look at what the handler said, and run it again.',
    next: ['synaptic-mesh p2p inbox']
  }),
  CONSUMER_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `The inbox has no reader ${d['name']}`,
    hint: 'Looking registers nobody: add the reader, or take messages under its name once.',
    next: ['synaptic-mesh p2p inbox consumers']
  }),
  CONSUMER_LIMIT: entry({
    exit: 9,
    retryable: false,
    message: (d) => `The inbox has ${d['max']} named readers, which is the most`,
    hint: 'Remove one that is not needed any more: what only it waited for is then read.',
    next: ['synaptic-mesh p2p inbox consumers']
  }),
  AGENT_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `This node has no agent ${d['label']}`,
    hint: 'See which it has.',
    next: ['synaptic-mesh p2p agent list']
  }),
  AGENT_LIMIT: entry({
    exit: 9,
    retryable: false,
    message: (d) => `This node has ${d['max']} agents, which is the most`,
    hint: 'The card that peers get has no room for more. Remove one, or run another profile for them.',
    next: ['synaptic-mesh p2p agent list']
  }),
  LOOP_GUARD: entry({
    exit: 9,
    retryable: false,
    message: (d) =>
      `The thread ${d['root']} has had ${d['messages']} messages of agents with no person's among them: no agent writes into it any more`,
    hint: 'It goes on as soon as a person writes into it, such as with inbox reply, or with --allow. Two agents that answer each other never end by themselves.',
    next: ['synaptic-mesh p2p inbox']
  }),
  HOP_LIMIT: entry({
    exit: 9,
    retryable: false,
    message: (d) =>
      d['root'] === undefined
        ? 'The matter was handed on by agents too often'
        : `The matter of ${d['root']} was handed on by agents ${d['hops']} times: it goes no further`,
    hint: 'A person may hand it on: with a message of their own, or with --allow.'
  })
} as const satisfies Record<string, ErrorEntry>
