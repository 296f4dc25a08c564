import { type Datastore, Key } from 'interface-datastore'
import { cellCipher, nodeNtorHashes } from '../crypto/index.ts'
import type { LogRecord } from '../mesh/mesh.ts'
import type { DirectoryStore } from '../mesh/onion/directory-service.ts'
import type { OnionPorts } from '../mesh/onion/onion-service.ts'
import { onionHosts } from './onion-host.ts'

/** What Node gives for onion circuits; directory and guards stand beside what libp2p knows of peers. */
export async function onionPlatform(datastore: Datastore, log: (record: LogRecord) => void): Promise<OnionPorts> {
  const { backend, cipher } = await cellCipher()
  log({ level: 'debug', event: 'onion.cipher', fields: { backend } })
  return {
    hosts: onionHosts({ log }),
    cipher,
    hashes: nodeNtorHashes,
    directory: storeOf(datastore, new Key('/onion/directory')),
    guards: storeOf(datastore, new Key('/onion/guards'))
  }
}

const storeOf = (datastore: Datastore, key: Key): DirectoryStore => ({
  load: async () => ((await datastore.has(key)) ? datastore.get(key) : undefined),
  save: async (value) => void (await datastore.put(key, value))
})
