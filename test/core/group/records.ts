import { hash } from 'node:crypto'
import { wallMillis } from '../../../src/core/base/index.ts'
import { createGroup, type GroupMember, type SignedGroup } from '../../../src/core/group/index.ts'
import { SimulatedSigner, simulatedVerifier } from '../../../src/testing/simulated-keys.ts'

export const verifier = simulatedVerifier
export const issuedAt = wallMillis(1_750_000_000_000)
export const signerOf = (name: string): SimulatedSigner => new SimulatedSigner(new Uint8Array(hash('sha256', name, 'buffer')))
export const keyOf = (name: string): Uint8Array => signerOf(name).publicKey
export const memberOf = (name: string): GroupMember => ({ key: keyOf(name), name, addresses: [`/ip4/192.0.2.1/tcp/4001/p2p/${name}`] })

/** A group that `ada` made. */
export function groupOf(...names: readonly string[]): SignedGroup {
  return createGroup({ name: 'swarm-alpha', salt: new Uint8Array(16).fill(7), members: names.map(memberOf), issuedAt }, signerOf('ada'))
}
