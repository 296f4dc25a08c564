import { hash } from 'node:crypto'
import { concat, utf8 } from '../../src/core/base/index.ts'
import { sealHeaderBytes } from '../../src/crypto/sealed-file.ts'
import { type BackupManifest, decodeManifest, encodeManifest, PieceReader } from '../../src/node/keys/backup-format.ts'
import { decodeSeed, encodeSeed, keyFileInfo } from '../../src/node/key-file.ts'
import { fuzzDecoder } from './fuzz.ts'

const peerId = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
const manifests: readonly BackupManifest[] = [
  { version: '0.1.0', createdAt: 1_800_000_000_000, profile: 'default', peerId, files: [{ name: 'identity.key', bytes: 245 }] },
  {
    version: '1.2.3',
    createdAt: 0,
    profile: 'a',
    peerId,
    files: [
      { name: 'identity.key', bytes: 3 },
      { name: 'config.toml', bytes: 0 },
      { name: 'mesh.db', bytes: 100_000 }
    ]
  }
]

fuzzDecoder({
  name: 'list of contents of a backup',
  decode: (input) => decodeManifest(input, 'a file'),
  valid: manifests.map((manifest) => encodeManifest(manifest).subarray(4)),
  codes: ['BACKUP_DAMAGED']
})

/** A whole backup before it is sealed: the list, then the bytes of its files. */
fuzzDecoder({
  name: 'plain bytes of a backup',
  decode: (input) => {
    const reader = new PieceReader([input.subarray(0, 7), input.subarray(7)], 'a file')
    const { files } = reader.manifest()
    const contents = files.map(({ bytes }) => [...reader.pieces(Math.min(bytes, 1_000_000))].length)
    reader.end()
    return contents
  },
  valid: [concat(encodeManifest({ version: '0', createdAt: 1, profile: 'p', peerId, files: [{ name: 'identity.key', bytes: 5 }] }), utf8('12345'))],
  codes: ['BACKUP_DAMAGED']
})

const seed = new Uint8Array(32).fill(9)
const body = ['synaptic-mesh identity 2', `ed25519-public ${'ab'.repeat(32)}`, `sealed ${'cd'.repeat(sealHeaderBytes + 48)}`, ''].join('\n')
const encrypted = utf8(`${body}sha256 ${hash('sha256', body)}\n`)

fuzzDecoder({
  name: 'key file',
  decode: (input) => keyFileInfo(input, 'a file'),
  valid: [encodeSeed(seed), encrypted],
  codes: ['KEY_CORRUPT']
})
fuzzDecoder({
  name: 'key file that is plain',
  decode: (input) => decodeSeed(input, 'a file'),
  encode: (value) => encodeSeed(value as Uint8Array),
  valid: [encodeSeed(seed)],
  codes: ['KEY_CORRUPT']
})
