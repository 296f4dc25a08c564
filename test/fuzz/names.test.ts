import { resolveName, type NameBook } from '../../src/core/peers/index.ts'
import { fuzzDecoder } from './fuzz.ts'

const id = (letter: string): string => `12D3KooW${letter.repeat(44)}`
const book: NameBook = {
  paired: [
    { peerId: id('A'), name: 'agent-001', alias: 'alice', labels: ['planner'] },
    { peerId: id('B'), name: '', alias: '', labels: [] }
  ],
  claims: [
    { peerId: id('C'), name: 'agent-001', labels: ['__proto__'] },
    { peerId: id('D'), name: '', labels: [] }
  ]
}
const toBytes = (text: string): Uint8Array => new TextEncoder().encode(text)

fuzzDecoder({
  name: 'name of a peer',
  decode: (input) => resolveName(new TextDecoder().decode(input), book),
  valid: ['alice', id('A'), 'AAAAAA', '…AAAAAAAA', '...BBBBBBBB', `/ip4/192.0.2.1/tcp/1/p2p/${id('C')}`].map(toBytes),
  codes: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'ADDRESS_INVALID']
})
