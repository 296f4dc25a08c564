export { type CellPrimitives, cellMemoryBytes, makeCellCipher, nobleCells } from './cell-cipher.ts'
export {
  decodeDescriptor,
  descriptorLimits,
  encodeDescriptor,
  isOnionAddress,
  isSameFamily,
  parseDescriptor,
  timeProblem,
  type OnionDescriptor,
  type OnionRole,
  type ParsedDescriptor,
  lionessCipher,
  verifyDescriptor
} from './descriptor.ts'
export * from './ntor-hashes.ts'
export * from './onion-crypto.ts'
export * from './onion-keys.ts'
export * from './recognised.ts'
export * from './types.ts'
