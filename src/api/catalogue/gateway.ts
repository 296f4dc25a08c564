import { command, scopes, type Zod } from '../command.ts'
import { peerInfo, receivedMessage, sendReport } from './shapes.ts'

export const gateway = command({
  words: ['gateway', 'start'],
  isDefault: true,
  help: 'serve the control API, events, a WebSocket and metrics on 127.0.0.1 until this ends; clients show a token',
  fields: {
    port: {
      type: 'integer',
      min: 0,
      max: 65_535,
      placeholder: 'PORT',
      help: 'where on 127.0.0.1; 0: any that is free (default: gateway_port, 9400)'
    },
    print: { type: 'boolean', default: false, help: 'say where it listens and end; it goes on until the daemon stops, or gateway stop' }
  },
  examples: ['synaptic-mesh p2p gateway --port 9400', 'synaptic-mesh p2p gateway --print --json'],
  errors: ['LISTEN_FAILED', 'CONFIG_MALFORMED', 'OPTION_INVALID'],
  output: (z) =>
    z.strictObject({
      url: z.string(),
      port: z.int(),
      /** Whether this call started it; otherwise it ran before, and goes on afterwards. */
      started: z.boolean(),
      /** Where the tokens of this run are, a file for each scope. */
      tokenFolder: z.string(),
      /** How many lasting tokens there are. */
      tokens: z.int()
    }),
  route: { method: 'POST', path: '/v1/gateway', scope: 'admin', stream: true, socketOnly: true }
})

export const gatewayStop = command({
  words: ['gateway', 'stop'],
  help: 'stop serving on 127.0.0.1 for this run of the daemon',
  fields: {},
  examples: ['synaptic-mesh p2p gateway stop'],
  errors: [],
  output: (z) => z.strictObject({ stopped: z.boolean() }),
  route: { method: 'POST', path: '/v1/gateway/stop', scope: 'admin', socketOnly: true }
})

const tokenName = {
  type: 'text',
  min: 1,
  max: 64,
  required: true,
  help: 'what it is called, such as the program that uses it'
} as const

const storedToken = (z: Zod) => ({
  name: z.string(),
  scope: z.enum(scopes),
  createdAt: z.number(),
  expiresAt: z.number().optional()
})

export const tokenCreate = command({
  words: ['gateway', 'token', 'create'],
  help: 'make a token for the gateway that outlasts restarts; it is shown this once, and only its hash is kept',
  fields: {
    name: tokenName,
    scope: {
      type: 'choice',
      choices: scopes,
      default: 'agent',
      help: 'read looks; agent also sends, receives and acknowledges; admin also pairs, trusts and stops'
    },
    expiresInS: {
      type: 'integer',
      min: 60,
      max: 315_360_000,
      flag: '--expires',
      placeholder: 'SECONDS',
      help: 'void after so many seconds; never by default'
    }
  },
  examples: ['synaptic-mesh p2p gateway token create --name reporter --scope agent --expires 2592000'],
  errors: ['TOKEN_EXISTS', 'OPTION_INVALID', 'DISK_FULL'],
  output: (z) => z.strictObject({ ...storedToken(z), token: z.string() }),
  route: { method: 'POST', path: '/v1/gateway/tokens/create', scope: 'admin', socketOnly: true }
})

export const tokenList = command({
  words: ['gateway', 'token', 'list'],
  help: 'list the tokens that were made and not revoked; never the tokens themselves',
  fields: {},
  examples: ['synaptic-mesh p2p gateway token list'],
  errors: [],
  output: (z) =>
    z.strictObject({
      tokens: z.array(
        z.strictObject({
          ...storedToken(z),
          expired: z.boolean(),
          /** In this run of the daemon. */
          usedAt: z.number().optional()
        })
      )
    }),
  route: { method: 'GET', path: '/v1/gateway/tokens', scope: 'read', socketOnly: true }
})

export const tokenRevoke = command({
  words: ['gateway', 'token', 'revoke'],
  help: 'make a token void, and end what it has open',
  fields: { name: { ...tokenName, position: 0, flag: false } },
  examples: ['synaptic-mesh p2p gateway token revoke reporter'],
  errors: ['TOKEN_UNKNOWN', 'DISK_FULL'],
  output: (z) => z.strictObject({ name: z.string(), revoked: z.literal(true) }),
  route: { method: 'POST', path: '/v1/gateway/tokens/revoke', scope: 'admin', socketOnly: true }
})

export const eventNames = ['message', 'outbox', 'peer'] as const

/** What happens, as it happens; not a command. */
export const events = command({
  words: ['events'],
  help: 'tell what happens as server-sent events, each with a cursor to go on from',
  fields: {
    after: {
      type: 'text',
      min: 1,
      max: 64,
      help: 'the cursor of the last event that was had (also as the header Last-Event-ID); 0: the unread messages first; without it only what happens from now on'
    },
    event: { type: 'list', maxItems: eventNames.length, maxCharacters: 16, choices: eventNames, help: 'only these' },
    count: { type: 'integer', min: 1, max: 1_000_000, help: 'end after so many events; live and missed are not counted' }
  },
  examples: [],
  errors: ['OPTION_INVALID'],
  output: (z) =>
    z.discriminatedUnion('event', [
      z.strictObject({ event: z.literal('message'), cursor: z.string(), data: receivedMessage(z) }),
      z.strictObject({ event: z.literal('outbox'), cursor: z.string(), data: sendReport(z) }),
      z.strictObject({
        event: z.literal('peer'),
        cursor: z.string(),
        data: z.strictObject({ type: z.enum(['connected', 'disconnected', 'discovered', 'paired']), peer: peerInfo(z) })
      }),
      /** Everything up to here was told. */
      z.strictObject({ event: z.literal('live'), cursor: z.string(), data: z.strictObject({}) }),
      /** Events were lost, as a restart came between (`restarted`) or as too many came (`behind`, with how many). Unread messages follow; the rest can be asked for. */
      z.strictObject({
        event: z.literal('missed'),
        cursor: z.string(),
        data: z.strictObject({ reason: z.enum(['restarted', 'behind']), events: z.int().optional() })
      })
    ]),
  route: { method: 'GET', path: '/v1/events', scope: 'read', stream: 'events' }
})
