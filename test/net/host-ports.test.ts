import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { mdnsPort } from '../../src/node/host-ports.ts'

/** What libp2p's mDNS is for its listeners: it tells of any peer id that a packet named. */
class Announcements extends EventTarget {
  listenerCount(): number {
    return 1
  }

  safeDispatchEvent(): boolean {
    return true
  }

  announce(id: PeerId): void {
    this.dispatchEvent(new CustomEvent('peer', { detail: { id, multiaddrs: [] } }))
  }
}

test('an announcement on the local network of a key of another kind is nobody’s', async () => {
  const mdns = new Announcements()
  const heard: string[] = []
  mdnsPort({ services: { mdns } })?.onPeer((peerId) => heard.push(peerId))
  mdns.announce(peerIdFromPrivateKey(await generateKeyPair('secp256k1')))
  mdns.announce(peerIdFromPrivateKey(await generateKeyPair('RSA', 2_048)))
  const friend = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  mdns.announce(friend)
  assert.deepEqual(heard, [friend.toString()])
})
