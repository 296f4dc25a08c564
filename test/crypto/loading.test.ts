import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { inRoot } from '../../scripts/lib/paths.ts'

/** The packages and backends that a process resolves when it runs `program` with `api`, the entry of the sources. */
function loadedBy(program: string): readonly string[] {
  const script = `
    import { registerHooks } from 'node:module'
    const seen = new Set()
    registerHooks({ resolve(specifier, context, next) { const found = next(specifier, context); seen.add(found.url); return found } })
    const api = await import(${JSON.stringify(inRoot('src/crypto/public.ts'))})
    ${program}
    console.log(JSON.stringify([...seen]))`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 60_000
  })
  assert.equal(status, 0, stderr)
  const urls: readonly string[] = JSON.parse(stdout)
  const heavy = /^node:crypto$|@oqs\/liboqs-js|@noble\/post-quantum|@noble\/curves|crypto\/(?:kem|signer)\/(?:node|webcrypto|liboqs|noble)\.ts/
  return [...new Set(urls.flatMap((url) => heavy.exec(url) ?? []))].sort()
}

test('no backend is loaded before it is used, and then only that one: not even node:crypto, which a browser has not', () => {
  assert.deepEqual(loadedBy("api.kem(3, 'noble'); api.signer('ml-dsa-65', 'liboqs')"), [])
  assert.deepEqual(loadedBy('await api.kem(3).generateKeyPair()'), ['crypto/kem/node.ts', 'node:crypto'])
  assert.deepEqual(loadedBy("await api.kem(3, 'webcrypto').generateKeyPair()"), ['crypto/kem/webcrypto.ts'])
  assert.deepEqual(loadedBy("await api.kem(3, 'liboqs').generateKeyPair()"), ['@oqs/liboqs-js', 'crypto/kem/liboqs.ts', 'node:crypto'])
  assert.deepEqual(loadedBy("await api.signer('ml-dsa-65').generateKeyPair()"), ['@noble/curves', 'crypto/signer/node.ts', 'node:crypto'])
})

test('one parameter set of liboqs is loaded, not all of them', () => {
  const script = `
    import { registerHooks } from 'node:module'
    registerHooks({ resolve(specifier, context, next) { const found = next(specifier, context); if (/liboqs-js\\/dist\\//.test(found.url)) console.log(found.url.split('/').at(-1)); return found } })
    const api = await import(${JSON.stringify(inRoot('src/crypto/public.ts'))})
    await api.kem(5, 'liboqs').generateKeyPair()`
  const { stdout } = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], { encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual(stdout.trim().split('\n'), ['ml-kem-1024.min.js'])
})

test('the library entry of a node names no other backend', () => {
  const imports = (name: string): readonly string[] => {
    const text = readFileSync(inRoot('dist', name), 'utf8')
    return [...text.matchAll(/(?:from|import\()\s*["']([^"']+)["']/g)].map(([, specifier = '']) => specifier)
  }
  const reached = new Set<string>(['index.js'])
  for (const name of reached) for (const specifier of imports(name)) if (specifier.startsWith('./')) reached.add(specifier.slice(2))
  const packages = new Set([...reached].flatMap(imports).filter((specifier) => /^@(?:oqs|noble)\//.test(specifier)))
  assert.ok(readdirSync(inRoot('dist')).includes('crypto.js'))
  assert.deepEqual(
    // The curve is there for the strict check of keys (libp2p brings the same one), the ciphers for the cells of circuits where no library is.
    [...packages].filter((specifier) => !/^@noble\/(hashes\/|ciphers\/(chacha|aes)\.js|curves\/ed25519\.js)/.test(specifier)),
    []
  )
})

test('the example of docs/crypto.md runs as it stands', () => {
  const [, example = ''] = /```ts\n(.*?)```/s.exec(readFileSync(inRoot('docs/crypto.md'), 'utf8')) ?? []
  const program = example.replace("'synaptic-mesh/crypto'", JSON.stringify(inRoot('dist/crypto.js')))
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 60_000
  })
  assert.equal(stdout, 'true\ntrue\n', stderr)
})
