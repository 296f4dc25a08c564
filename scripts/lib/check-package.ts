import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inRoot, root, toolEnvironment } from './paths.ts'

interface StepResult {
  readonly isMet: boolean
  readonly output: string
}

function run(command: readonly string[], cwd: string = root): StepResult {
  const [program = '', ...args] = command
  const result = spawnSync(program, args, { cwd, encoding: 'utf8', env: toolEnvironment({ NO_COLOR: '1' }) })
  return { isMet: result.status === 0, output: `$ ${command.join(' ')}\n${result.stdout}${result.stderr}`.trim() }
}

/** What a stranger writes first: it must compile with nothing but the published declarations. */
const consumer = `import { createMesh, type Mesh } from 'synaptic-mesh'
import { createTestnet } from 'synaptic-mesh/testing'
import { kem, type Kem } from 'synaptic-mesh/crypto'
import { hybridNoise } from 'synaptic-mesh/noise'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
export async function run(): Promise<string> {
  const mesh: Mesh = await createMesh({ maxPeers: 5 })
  const report = await mesh.send('agent-001', 'hello', { type: 'Thought', priority: 8 })
  await mesh.stop()
  return report.status
}
export const nets: typeof createTestnet = createTestnet
export const level5: Kem = kem(5, 'noble')
export const hybridNode = (): Promise<Libp2p> => createLibp2p({ transports: [tcp()], connectionEncrypters: hybridNoise({ policy: 'require' }) })
`
const consumerConfig = {
  compilerOptions: {
    module: 'NodeNext',
    target: 'ES2024',
    // libp2p's own declarations speak of DOM types.
    lib: ['ES2024', 'ESNext.Disposable', 'DOM'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true
  },
  include: ['*.ts']
}

/** Lays the packed package out as an installation would: its own files, the dependencies of the checkout beside it. */
async function install(tarball: string, folder: string): Promise<void> {
  const modules = join(folder, 'node_modules')
  const home = join(modules, 'synaptic-mesh')
  await mkdir(home, { recursive: true })
  run(['tar', 'xzf', tarball, '-C', home, '--strip-components=1'])
  for (const name of await readdir(inRoot('node_modules'))) {
    if (name !== 'synaptic-mesh' && !name.startsWith('.')) await symlink(inRoot('node_modules', name), join(modules, name))
  }
  await writeFile(join(folder, 'consumer.ts'), consumer)
  await cp(inRoot('examples'), folder, { recursive: true })
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(consumerConfig))
  await writeFile(join(folder, 'package.json'), '{"type":"module","private":true}')
}

/** Packs the package and looks at it as its users will: publint, attw, a consumer that compiles, an import that works. */
export async function checkPackage(): Promise<StepResult> {
  const folder = await mkdtemp(inRoot('.check-'))
  try {
    const built = run(['node', 'scripts/build.ts', '--clean', '--types'])
    const packed = run(['npm', 'pack', '--pack-destination', folder])
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
    if (!built.isMet || !packed.isMet || tarball === undefined) return { isMet: false, output: `${built.output}\n${packed.output}` }
    await install(join(folder, tarball), folder)
    const results = [
      run(['publint', 'run', join(folder, tarball), '--strict']),
      run(['attw', join(folder, tarball), '--profile', 'esm-only', '--no-definitely-typed', '--no-emoji', '--no-color']),
      run(['tsc', '-p', folder]),
      run(
        [
          'node',
          '--input-type=module',
          '-e',
          "const m = await import('synaptic-mesh'); const t = await import('synaptic-mesh/testing'); const c = await import('synaptic-mesh/crypto'); const n = await import('synaptic-mesh/noise'); for (const name of c.kemBackends) await c.kem(1, name).generateKeyPair(); if (typeof m.createMesh !== 'function' || typeof t.createTestnet !== 'function' || n.hybridNoise().length !== 2) process.exit(1)"
        ],
        folder
      ),
      run(['node', join(folder, 'node_modules/synaptic-mesh/bin/synaptic-mesh.js'), '--version'], folder)
    ]
    const missed = results.filter((result) => !result.isMet)
    return { isMet: missed.length === 0, output: missed.map((result) => result.output).join('\n\n') }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
