"""Reinforcement learning on the engine: value iteration, DQN, REINFORCE, DDPG; environments made from economies.

Conventions, throughout the room:

    R_t = r_t + gamma R_{t+1}            the return (the lecture's slide has gamma^i with the absolute i, a slip)
    y   = r + gamma (1 - terminated) v'  a target of temporal differences

*terminated*: the world has ended, nothing follows. *truncated*: somebody stopped the clock, the world would go on; the
target then still has its v'.
"""
