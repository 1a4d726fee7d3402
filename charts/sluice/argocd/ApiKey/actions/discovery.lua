local revoked = obj.spec.revoked == true
return {
  ["rotate"] = { ["disabled"] = revoked },
  ["revoke"] = { ["disabled"] = revoked },
  ["restore"] = { ["disabled"] = not revoked },
}
