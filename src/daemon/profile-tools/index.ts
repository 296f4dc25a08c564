import type { ProfileTools } from '../../api/index.ts'
import { writeBugreport } from './bugreport-tool.ts'
import { localDoctor } from './doctor-tool.ts'
import { keyTools } from './key-tools.ts'

/** What works on a profile's files, whether its daemon runs or not. */
export const tools: ProfileTools = { ...keyTools, doctor: localDoctor, bugreport: async (request) => writeBugreport(request) }
