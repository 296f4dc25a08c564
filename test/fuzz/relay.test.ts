import { fromHex } from '../../src/core/base/index.ts'
import {
  circuitStatus,
  decodeHopAnswer,
  decodeHopRequest,
  decodeStopStatus,
  encodeHopReserve,
  encodeHopStatus,
  encodeStopConnect
} from '../../src/core/nat/circuit-frames.ts'
import { fuzzDecoder } from './fuzz.ts'

const peer = fromHex(`002408011220${'ab'.repeat(32)}`)
const limit = { seconds: 86_400, bytes: 2 ** 40 }

fuzzDecoder({
  name: 'HOP request',
  decode: (input) => decodeHopRequest(input),
  valid: [encodeHopReserve(), fromHex(`080112280a26${'12'.repeat(38)}`)]
})
fuzzDecoder({
  name: 'HOP answer',
  decode: (input) => decodeHopAnswer(input),
  valid: [encodeHopStatus(circuitStatus.ok, limit), fromHex('08021a0d0880a4a7da061201aa1202bbbb2864')]
})
fuzzDecoder({ name: 'STOP status', decode: (input) => decodeStopStatus(input), valid: [encodeStopConnect(peer, limit), fromHex('08012064')] })
