// Every backend that this machine permits keeps the same promises.
import { sealAuthoritySuite } from '../../conformance/seal-authority.js'
import { openCooperative, openUserfaultfd } from './ground.js'

sealAuthoritySuite('cooperative', openCooperative)
sealAuthoritySuite('userfaultfd', openUserfaultfd)
