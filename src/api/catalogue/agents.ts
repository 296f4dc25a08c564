import { command } from '../command.ts'
import { consumer, messageTypeAlso, messageTypeNames } from './fields.ts'
import { handledReport, receivedMessage } from './shapes.ts'

export const listen = command({
  words: ['listen'],
  help: 'print messages as they arrive, the unread ones first; or hand each to a program, or to a web address',
  fields: {
    args: {
      type: 'list',
      maxItems: 64,
      maxCharacters: 4_096,
      takesEmpty: true,
      local: true,
      position: 0,
      flag: false,
      placeholder: 'WORD',
      help: 'after --: further words of the program'
    },
    type: {
      type: 'list',
      maxItems: 9,
      maxCharacters: 16,
      choices: messageTypeNames,
      also: messageTypeAlso,
      help: 'only these kinds; a handler gets commands only where they are named here'
    },
    from: { type: 'text', min: 1, max: 512, help: 'only from this peer' },
    label: { type: 'text', min: 1, max: 64, placeholder: 'NAME', help: 'only what is for this agent of this node' },
    consumer,
    once: { type: 'boolean', default: false, help: 'end after one message' },
    ack: { type: 'boolean', default: false, local: true, help: 'acknowledge each once it is printed' },
    exec: {
      type: 'text',
      min: 1,
      max: 4_096,
      local: true,
      placeholder: 'PROGRAM',
      help: 'run this for each message, which it gets as JSON on its standard input; exit code 0 acknowledges it'
    },
    webhook: {
      type: 'text',
      min: 1,
      max: 2_048,
      local: true,
      placeholder: 'URL',
      help: 'post each message there, signed; an answer 2xx acknowledges it'
    },
    webhookSecretFile: {
      type: 'text',
      min: 1,
      max: 4_096,
      local: true,
      placeholder: 'FILE',
      help: 'the key that signs (default: one of the profile, made once)'
    },
    reply: { type: 'boolean', default: false, local: true, help: 'what the handler answers is the Response, where one is expected' },
    env: {
      type: 'list',
      maxItems: 64,
      maxCharacters: 128,
      local: true,
      placeholder: 'NAME',
      help: 'variables of the environment that the program gets besides'
    },
    maxRunning: { type: 'integer', min: 1, max: 64, default: 1, local: true, help: 'so many handlers at once' },
    attempts: { type: 'integer', min: 1, max: 100, default: 5, local: true, help: 'how often a message is tried before it is left in the inbox' },
    execTimeoutMs: {
      type: 'seconds',
      minMs: 1,
      maxMs: 86_400_000,
      local: true,
      flag: '--exec-timeout',
      placeholder: 'SECONDS',
      help: 'end the program after this many seconds (default 60)'
    },
    timeoutMs: {
      type: 'seconds',
      minMs: 1,
      maxMs: 3_600_000,
      local: true,
      flag: '--timeout',
      placeholder: 'SECONDS',
      help: 'end after this many seconds, with TIMEOUT when nothing came (default: never)'
    }
  },
  examples: [
    'synaptic-mesh p2p listen --ack --json',
    'synaptic-mesh p2p listen --type command --once --timeout 60',
    'synaptic-mesh p2p listen --exec "python3 agent.py" --type thought,command --reply',
    'synaptic-mesh p2p listen --webhook https://agent.example/inbox --max-running 4'
  ],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'CONSUMER_LIMIT', 'HANDLER_NOT_FOUND', 'HANDLER_FAILED', 'TIMEOUT', 'ABORTED'],
  output: (z) => z.union([receivedMessage(z), handledReport(z)]),
  route: { method: 'POST', path: '/v1/listen', scope: 'agent', stream: true }
})

/** What the daemon does of it: it hands out messages, and never runs anything. */
export const listenStream = command({
  ...listen,
  fields: {
    ...listen.fields,
    claim: { type: 'boolean', default: false, flag: false, help: 'no other caller that claims gets the same message while this one is there' }
  },
  output: (z) => receivedMessage(z)
})

export const inboxConsumers = command({
  words: ['inbox', 'consumers'],
  help: 'the named readers of the inbox: each gets each message until it acknowledged it itself',
  fields: {
    action: { type: 'choice', choices: ['list', 'add', 'remove'], default: 'list', position: 0, flag: false, help: 'list, add or remove' },
    name: { type: 'text', min: 1, max: 64, position: 1, flag: false, help: 'the reader' }
  },
  examples: [
    'synaptic-mesh p2p inbox consumers',
    'synaptic-mesh p2p inbox consumers add planner',
    'synaptic-mesh p2p inbox consumers remove planner'
  ],
  errors: ['CONSUMER_UNKNOWN', 'CONSUMER_LIMIT'],
  output: (z) =>
    z.strictObject({
      consumers: z.array(z.strictObject({ name: z.string(), createdAt: z.number(), usedAt: z.number(), idle: z.boolean(), acknowledged: z.int() }))
    }),
  route: { method: 'POST', path: '/v1/inbox/consumers', scope: 'agent' }
})

const label = { type: 'text', min: 1, max: 64, required: true, position: 0, flag: false, placeholder: 'NAME', help: 'its name' } as const

export const agentAdd = command({
  words: ['agent', 'add'],
  help: 'name an agent behind this node: peers can address it, and listen --label takes what is for it',
  fields: { label },
  examples: ['synaptic-mesh p2p agent add planner'],
  errors: ['AGENT_LIMIT'],
  output: (z) => z.strictObject({ label: z.string(), added: z.boolean() }),
  route: { method: 'POST', path: '/v1/agents/add', scope: 'agent' }
})

export const agentList = command({
  words: ['agent', 'list'],
  isDefault: true,
  help: 'list the agents behind this node',
  fields: {},
  examples: ['synaptic-mesh p2p agent list'],
  errors: [],
  output: (z) => z.strictObject({ agents: z.array(z.strictObject({ label: z.string(), createdAt: z.number() })) }),
  route: { method: 'GET', path: '/v1/agents', scope: 'read' }
})

export const agentRemove = command({
  words: ['agent', 'remove'],
  help: 'take the name of an agent back',
  fields: { label },
  examples: ['synaptic-mesh p2p agent remove planner'],
  errors: ['AGENT_UNKNOWN'],
  output: (z) => z.strictObject({ label: z.string() }),
  route: { method: 'POST', path: '/v1/agents/remove', scope: 'agent' }
})
