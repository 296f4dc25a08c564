import type { OutputOf, Operations } from '../../api/index.ts'
import type { GroupInfo } from '../../mesh/mesh.ts'
import type { Handler } from './context.ts'

const wireGroup = (group: GroupInfo): OutputOf<Operations['groupCreate']> => ({
  ...group,
  creator: { ...group.creator },
  members: group.members.map((member) => ({ ...member }))
})

export const groupCreate: Handler<'groupCreate'> = async ({ name, member = [], peers = [] }, { mesh }) =>
  wireGroup(await mesh.groups.create(name, { members: [...member, ...peers] }))

export const groupAdd: Handler<'groupAdd'> = async ({ group, member, admin }, { mesh }) => wireGroup(await mesh.groups.add(group, member, { admin }))

export const groupRemove: Handler<'groupRemove'> = async ({ group, member }, { mesh }) => wireGroup(await mesh.groups.remove(group, member))

export const groupList: Handler<'groupList'> = async ({ group }, { mesh }) => {
  const groups = group === undefined ? await mesh.groups.list() : [await mesh.groups.get(group)]
  return { groups: groups.map(wireGroup) }
}

export const groupLeave: Handler<'groupLeave'> = async ({ group }, { mesh }) => wireGroup(await mesh.groups.leave(group))

export const groupDelete: Handler<'groupDelete'> = async ({ group }, { mesh }) => wireGroup(await mesh.groups.end(group))
