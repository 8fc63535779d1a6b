-- Health of TradingPolicy, RiskProfile and ModelCheckpoint for Argo CD. The operator speaks kstatus: Ready, Reconciling, Stalled.
local health = { status = "Progressing", message = "waiting for the operator" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "the operator has not seen this generation yet"
  return health
end
local seen = {}
for _, condition in ipairs(obj.status.conditions) do
  seen[condition.type] = condition
end
local function says(kind, value)
  return seen[kind] ~= nil and seen[kind].status == value
end
if says("Stalled", "True") then
  return { status = "Degraded", message = seen.Stalled.reason .. ": " .. seen.Stalled.message }
end
if says("Ready", "True") then
  return { status = "Healthy", message = seen.Ready.message }
end
if says("Reconciling", "True") then
  health.message = seen.Reconciling.message
elseif seen.Ready ~= nil then
  health.message = seen.Ready.message
end
return health
