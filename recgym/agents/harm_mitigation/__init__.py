"""Agents for HarmMitigation, one file each."""
