// Reads a Token Status List in CWT format with the library of the OpenWallet Foundation; the signature with
// Node's own crypto. In: {token, key, indexes} as JSON, bytes in hexadecimal. Out: what it says.
//
// `StatusListCwt.fromToken` of version 0.3.0-alpha-20260508181749 refuses every list without an
// `aggregation_uri`, which the specification makes optional (4.3): so its parts are called one by one.
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Sign1, cborDecode } from '@owf/cose'
import { StatusList, StatusListCwtClaimKey, StatusListCwtHeaderKey } from '@owf/token-status-list'

const asked = JSON.parse(readFileSync(0, 'utf8'))
const sign1 = Sign1.decode(Uint8Array.from(Buffer.from(asked.token, 'hex')))
const claims = cborDecode(sign1.payload)
const structure = claims.get(StatusListCwtClaimKey.StatusList)
const list = StatusList.decompressStatusListFromBytes(structure.get('lst'), structure.get('bits'))
process.stdout.write(
  JSON.stringify({
    algorithm: sign1.protectedHeaders.headers.get(1),
    type: sign1.protectedHeaders.headers.get(StatusListCwtHeaderKey.Typ),
    verified: verify(
      'sha256',
      sign1.toBeSigned,
      { key: createPublicKey(asked.key), dsaEncoding: 'ieee-p1363' },
      sign1.signature,
    ),
    subject: claims.get(2),
    expirationTime: claims.get(4),
    issuedAt: claims.get(6),
    timeToLive: claims.get(StatusListCwtClaimKey.TimeToLive),
    bits: list.getBitsPerStatus(),
    statuses: asked.indexes.map((index) => list.getStatus(index)),
  }),
)
