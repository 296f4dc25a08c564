import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../../src/core/base/index.ts'
import { leafHash, merklePathLength, MerkleTree, nobleSha256, verifyMerklePath } from '../../../src/core/message/index.ts'
import { tools } from './samples.ts'

const { sha256 } = tools
const leavesOf = (count: number): readonly Uint8Array[] => Array.from({ length: count }, (_, index) => sha256(Uint8Array.of(index >> 8, index)))

/** RFC 6962 section 2.1, word for word: a recursive split at the largest power of two. */
function reference(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves
  if (leaves.length === 1 && only !== undefined) return only
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return sha256(Uint8Array.of(1, ...reference(leaves.slice(0, split)), ...reference(leaves.slice(split))))
}

describe('merkle tree', () => {
  it('has the root of RFC 6962 for every size up to 256', () => {
    for (const size of [...Array.from({ length: 70 }, (_, index) => index + 1), 127, 128, 129, 255, 256]) {
      const leaves = leavesOf(size)
      assert.equal(toHex(new MerkleTree(leaves, sha256).root), toHex(reference(leaves)))
    }
  })

  it('has the root of the published test vectors of RFC 6962 (certificate-transparency)', () => {
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
    const leaves = inputs.map((hex) => leafHash(new Uint8Array(), Uint8Array.from(Buffer.from(hex, 'hex')), nobleSha256))
    const roots = [1, 2, 3, 8].map((size) => toHex(new MerkleTree(leaves.slice(0, size), nobleSha256).root))
    assert.deepEqual(roots, [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'
    ])
  })

  it('proves each leaf, with a path whose length follows from index and size', () => {
    for (let size = 1; size <= 40; size++) {
      const leaves = leavesOf(size)
      const tree = new MerkleTree(leaves, sha256)
      for (const [index, leaf] of leaves.entries()) {
        const path = tree.path(index)
        assert.equal(path.length, merklePathLength(index, size))
        assert.ok(verifyMerklePath({ leaf, index, size, path, root: tree.root }, sha256))
      }
    }
  })

  it('refuses a path for another leaf, index, size or root, and one that is longer or shorter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), fc.nat(), fc.nat(), (size, a, b) => {
        const leaves = leavesOf(size)
        const tree = new MerkleTree(leaves, sha256)
        const index = a % size
        const wrongIndex = (index + 1 + (b % (size - 1))) % size
        const claim = { leaf: leaves[index] ?? tree.root, index, size, path: tree.path(index), root: tree.root }
        assert.ok(verifyMerklePath(claim, sha256))
        assert.ok(!verifyMerklePath({ ...claim, index: wrongIndex }, sha256))
        assert.ok(!verifyMerklePath({ ...claim, leaf: leaves[wrongIndex] ?? tree.root }, sha256))
        assert.ok(!verifyMerklePath({ ...claim, index: size }, sha256))
        assert.ok(!verifyMerklePath({ ...claim, path: claim.path.slice(1) }, sha256))
        assert.ok(!verifyMerklePath({ ...claim, path: [...claim.path, tree.root] }, sha256))
        assert.ok(!verifyMerklePath({ ...claim, root: sha256(tree.root) }, sha256))
      })
    )
  })

  it('never takes an inner node for a leaf', () => {
    const leaves = leavesOf(2)
    const { root } = new MerkleTree(leaves, sha256)
    const joined = Uint8Array.of(...(leaves[0] ?? []), ...(leaves[1] ?? []))
    assert.notEqual(toHex(leafHash(joined.subarray(0, 16), joined.subarray(16), sha256)), toHex(root))
  })
})
