export {
  decodeDescriptor,
  descriptorLimits,
  encodeDescriptor,
  isOnionAddress,
  isSameFamily,
  lionessCipher,
  type OnionDescriptor,
  type OnionRole,
  type ParsedDescriptor,
  parseDescriptor,
  timeProblem,
  verifyDescriptor
} from './descriptor.ts'
export * from './types.ts'
