import { decodeNatFrame, encodeNatFrame, type NatFrame } from '../../src/core/nat/nat-frames.ts'
import { decodeNatPmp } from '../../src/core/nat/nat-pmp.ts'
import { fuzzDecoder } from './fuzz.ts'

const hello = {
  facts: {
    natClass: 'port-restricted',
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    udp: 'open',
    publicAddress: { address: '2a0f:7777:1::2', port: 65_535 },
    ipv6: false
  },
  mapped: ['/ip4/11.77.26.2/tcp/9000', '/ip6/2a0f:7777:1::2/tcp/9001/ws'],
  ice: true,
  turn: true
} as const

const frames: readonly NatFrame[] = [
  { kind: 'hello', hello },
  { kind: 'hello', hello: { ...hello, facts: { ...hello.facts, publicAddress: undefined }, mapped: [] } },
  { kind: 'dial-back', address: '/ip4/11.77.26.2/tcp/9000' },
  { kind: 'reversal', addresses: ['/ip4/11.77.26.2/tcp/9000', '/ip4/11.77.26.2/tcp/9001/ws'] },
  { kind: 'dialled', outcome: 'not-allowed' }
]

fuzzDecoder({
  name: 'nat frame',
  decode: (input) => decodeNatFrame(input),
  encode: (value) => encodeNatFrame(value as NatFrame),
  valid: frames.map(encodeNatFrame)
})

fuzzDecoder({
  name: 'NAT-PMP answer',
  decode: (input) => decodeNatPmp(input),
  valid: [
    new Uint8Array([0, 128, 0, 0, 0, 0, 0, 9, 11, 77, 26, 2]),
    new Uint8Array([0, 130, 0, 0, 0, 0, 0, 9, 0x23, 0x28, 0x23, 0x29, 0, 0, 14, 16]),
    new Uint8Array([2, 130, 0, 1, 0, 0, 0, 9])
  ]
})
