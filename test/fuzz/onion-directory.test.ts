import { type DirectoryFrame, decodeDirectoryFrame, encodeDirectoryFrame, OnionDirectory, parseDescriptor } from '../../src/core/onion/index.ts'
import { compareBytes } from '../../src/core/base/index.ts'
import { signedBy, signerNamed, start } from '../core/onion/descriptor-support.ts'
import { directoryFrames } from '../core/onion/directory-support.ts'
import { fuzzDecoder } from './fuzz.ts'

const circuit = '/ip4/198.51.77.1/tcp/9000/p2p/12D3KooWCPSuexGXdBHD6TJTxbT5z9DhYUvHR1P7uotTPEpa92VU/p2p-circuit'
const descriptors = [
  signedBy('fuzz'),
  signedBy('fuzz', { family: ['a', 'b', 'c'].map((name) => signerNamed(name).publicKey).sort(compareBytes), levels: [3], ciphers: [1, 2, 255] }),
  signedBy('fuzz', { role: 'endpoint', addresses: ['/ip6/2600::1/tcp/443/ws', circuit] })
]

fuzzDecoder({ name: 'onion descriptor', decode: (input) => parseDescriptor(input), valid: descriptors.map(({ bytes }) => bytes) })

fuzzDecoder({
  name: 'onion directory frame',
  decode: (input) => decodeDirectoryFrame(input),
  encode: (value) => encodeDirectoryFrame(value as DirectoryFrame),
  valid: directoryFrames.map(encodeDirectoryFrame)
})

const restored = (bytes: Uint8Array): OnionDirectory => {
  const directory = new OnionDirectory({ isProtected: () => false, maxEntries: 64 })
  directory.restore(bytes, start)
  return directory
}

const saved = new OnionDirectory({ isProtected: () => false })
for (const name of ['a', 'b', 'c']) {
  const { descriptor, bytes } = signedBy(name)
  saved.add(descriptor, bytes, start)
}

fuzzDecoder({ name: 'saved onion directory', decode: restored, valid: [saved.save(), new OnionDirectory({ isProtected: () => false }).save()] })
