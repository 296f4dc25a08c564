import type { DoctorCheck, LocalDoctorRequest } from '../../api/index.ts'
import { safeText, toMeshError } from '../../core/base/index.ts'
import type { MeshOptions } from '../../core/options/index.ts'
import { type Check, fail, ok, skipped, warn } from '../../node/doctor/check.ts'
import { checkFiles } from '../../node/doctor/file-check.ts'
import { checkClock, checkDisk, checkNode, checkPorts } from '../../node/doctor/machine-check.ts'
import { selfTest } from '../../node/doctor/self-test.ts'
import { checkIdentity, checkStore, lastWords } from '../../node/doctor/state-check.ts'
import { loadOptions } from '../profile.ts'

/** Everything that can be found out about a profile and its machine without the daemon. */
export async function localDoctor({ paths, environment, deep, fix, isRunning }: LocalDoctorRequest): Promise<readonly DoctorCheck[]> {
  const nowMs = Date.now()
  const files = await checked('files', () => checkFiles(paths, { fix, nowMs }))
  const { options, check: config } = configOf({ paths, environment })
  return [
    checkNode(),
    ...(await checked('self-test', selfTest)),
    ...(await checked('clock', () => checkClock(paths, nowMs))),
    ...(await checked('disk', () => checkDisk(paths))),
    ...files,
    config,
    ...(await checked('identity', () => checkIdentity(paths, options?.passphraseFile ?? ''))),
    ...(isRunning ? [] : await withoutDaemon({ paths, deep }, options))
  ]
}

async function withoutDaemon(
  { paths, deep }: Pick<LocalDoctorRequest, 'paths' | 'deep'>,
  options: MeshOptions | undefined
): Promise<readonly Check[]> {
  const words = lastWords(paths)
  return [
    ...(words === undefined
      ? []
      : [
          warn(
            'crash',
            `The last daemon said before it ended: ${safeText(words, { maxCharacters: 300 })}`,
            'Its log has more: synaptic-mesh p2p logs'
          )
        ]),
    ...(options === undefined
      ? [skipped('ports', 'Without a valid configuration no port is known')]
      : await checked('ports', () => checkPorts(options.listenAddrs))),
    ...(await checked('store', () => checkStore(paths, deep)))
  ]
}

function configOf({ paths, environment }: Pick<LocalDoctorRequest, 'paths' | 'environment'>): {
  readonly options?: MeshOptions
  readonly check: Check
} {
  try {
    return { options: loadOptions(paths, environment), check: ok('config', `${paths.configFile} is valid`) }
  } catch (error) {
    const known = toMeshError(error)
    const hint = known.code === 'NOT_INITIALIZED' ? 'Make it: synaptic-mesh p2p init' : known.hint
    return { check: fail('config', known.message, hint) }
  }
}

/** A check that breaks is told as one, and the others are made all the same. */
async function checked(id: string, run: () => Check | readonly Check[] | Promise<Check | readonly Check[]>): Promise<readonly Check[]> {
  try {
    return [await run()].flat()
  } catch (error) {
    return [skipped(id, `This could not be checked: ${toMeshError(error).message}`)]
  }
}
