/** The package's entry `synaptic-mesh/crypto`: ML-KEM and signatures by backend. docs/crypto.md describes it. */
export { type ErrorCode, type ErrorDetails, MeshError, isMeshError } from '../core/base/index.ts'
export * from './kem/kem.ts'
export * from './signer/signer.ts'
