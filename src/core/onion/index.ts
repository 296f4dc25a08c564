export { type CellPrimitives, cellMemoryBytes, makeCellCipher, nobleCells } from './cell-cipher.ts'
export { CellQueues } from './cell-queues.ts'
export { chooseCircuit, decodeCells, encodeCells, maxFrameCells } from './cell.ts'
export { CircuitEnd, type CircuitEndOptions, type EndLayers, type EndOutput, type RelayCellCommand } from './circuit-end.ts'
export { type CircuitInput, type CircuitOutput } from './client-circuit-types.ts'
export { ClientCircuit } from './client-circuit.ts'
export {
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
export { type PathMember } from './path-member.ts'
export { type PathAsker, type PathPolicyName } from './path-policy.ts'
export {
  type CircuitWant,
  type PoolCircuit,
  type PoolInput,
  type PoolLimits,
  type PoolOptions,
  type PoolOutput,
  type PoolStatus
} from './pool-types.ts'
export { PoolMachine } from './pool.ts'
export { type PuzzleDemand, demandCell, demandIn, solutionCell, solutionIn } from './puzzle-cells.ts'
export { type Puzzle, PuzzleSolver, isPuzzleSolved } from './puzzle.ts'
export * from './recognised.ts'
export { type RelayLimitValues, type RelayNeighbour } from './relay-limits.ts'
export { RelayMachine, type RelayMachineOptions } from './relay-machine.ts'
export { decodeMessage, encodeMessage, type RelayMessage } from './relay-message.ts'
export { MessageAssembler, packMessages } from './relay-messages.ts'
export { type RelayCounters, type RelayInput, type RelayOutput } from './relay-types.ts'
export { type RelayRecordLimits } from './relay-record.ts'
export { type AnonymityReport } from './report.ts'
export { type StreamEndReason, type StreamOutput } from './stream-mux.ts'
export * from './types.ts'
export { type Difference, type Partition, ViewComparison } from './view-comparison.ts'
