import { checkInput } from '../../src/api/index.ts'
import { MeshError, utf8 } from '../../src/core/base/index.ts'
import { found, parseRequest } from '../../src/daemon/gateway/conversation.ts'
import { parseTokens } from '../../src/daemon/gateway/token-book.ts'
import { fuzzDecoder } from './fuzz.ts'

const frame = (value: object): Uint8Array => utf8(JSON.stringify(value))

fuzzDecoder({
  name: 'frame of a WebSocket',
  decode: (bytes) => {
    const request = parseRequest(Buffer.from(bytes))
    if (request === undefined) throw new MeshError('MESSAGE_MALFORMED', { what: 'request' })
    return checkInput(found(request.operation).fields, request.input)
  },
  valid: [
    frame({ id: 1, operation: 'status', input: { detailed: true } }),
    frame({ id: 'two', operation: 'message', input: { destination: 'agent-001', content: 'hi', priority: 8, msgType: 'coordination' } }),
    frame({ id: 3, operation: 'events', input: { after: '0', event: ['message', 'outbox'], count: 7 } }),
    frame({ id: 4, operation: 'inboxAck', input: { id: ['a', 'b'] } })
  ],
  codes: ['MESSAGE_MALFORMED', 'ROUTE_UNKNOWN', 'USAGE', 'OPTION_INVALID', 'OPTION_UNKNOWN']
})

const token = { name: 'reporter', scope: 'agent', createdAt: 1, expiresAt: 2, sha256: '00'.repeat(32) }

fuzzDecoder({
  name: 'file of tokens',
  decode: (bytes) => parseTokens(bytes, 'tokens.json'),
  valid: [frame({ version: 1, tokens: [] }), frame({ version: 1, tokens: [token, { ...token, name: 'other', expiresAt: undefined }] })],
  codes: ['CONFIG_MALFORMED']
})
