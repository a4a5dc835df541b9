"""NAFlow: neuron abandoning attention flow, by inverses that work on any network's tape [liao2026naflow].

A message is the decision's gradient `G` at a node and a demand `delta`: how the node's activation would have to
change for what was abandoned above it to be gone. `B = A + delta` is the back-projected feature map, and a layer's
map is the sum over channels of `relu(B * G)`.
"""
