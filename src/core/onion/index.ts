export { addressNetwork, addressNetworks } from './address-network.ts'
export { type CellPrimitives, cellMemoryBytes, makeCellCipher, nobleCells } from './cell-cipher.ts'
export { chooseCircuit, decodeCells, destroyCell, encodeCells, handshakeCells, joinHandshake, maxFrameCells } from './cell.ts'
export { CircuitEnd, type CircuitEndOptions, type EndLayers, type EndOutput, type RelayCellCommand } from './circuit-end.ts'
export {
  decodeDescriptor,
  descriptorLimits,
  encodeDescriptor,
  isOnionAddress,
  lionessCipher,
  type OnionDescriptor,
  type OnionRole,
  type ParsedDescriptor,
  parseDescriptor,
  timeProblem,
  verifyDescriptor
} from './descriptor.ts'
export { descriptorId, differingBuckets } from './directory-digests.ts'
export { decodeDirectoryFrame, type DirectoryFrame, encodeDirectoryFrame, maxFrameIds, packDescriptors } from './directory-frames.ts'
export { type DirectoryEntry, type Offer, OnionDirectory } from './directory.ts'
export { type ProofContext, isLinkProof, linkKinds, maxProofSkewMs, proveLink, provedKey } from './link-proof.ts'
export * from './ntor-hashes.ts'
export * from './onion-crypto.ts'
export * from './onion-keys.ts'
export { type PuzzleDemand, demandCell, demandIn, solutionCell, solutionIn } from './puzzle-cells.ts'
export { type Puzzle, PuzzleSolver, isPuzzleSolved } from './puzzle.ts'
export * from './recognised.ts'
export { decodeMessage, encodeMessage, type RelayMessage } from './relay-message.ts'
export { type RelayLimitValues, type RelayNeighbour } from './relay-limits.ts'
export { RelayMachine, type RelayMachineOptions } from './relay-machine.ts'
export { MessageAssembler, packMessages } from './relay-messages.ts'
export { type RelayCounters, type RelayInput, type RelayOutput } from './relay-types.ts'
export { type StreamEndReason, type StreamOutput, streamLimits } from './stream-mux.ts'
export * from './types.ts'
export { type Difference, type Partition, ViewComparison } from './view-comparison.ts'
